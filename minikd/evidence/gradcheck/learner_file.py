"""Loads a file that is not ours and finds in it what is to be checked, with an error that names the line otherwise."""

import difflib
import inspect
import sys
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minikd.errors import ConfigError
from minikd.evidence.gradcheck.trial import place
from minikd.storage.reading import check_readable, excerpt
from minikd.typing import Floats

Passes = Callable[..., tuple[Floats, object]]
"""A function of a learner's, as it should be."""


@dataclass(frozen=True)
class LearnerFile:
    """A file that was run, the name of the thing to check, and the thing."""

    path: Path
    name: str
    thing: object
    names: dict[str, object]

    @property
    def where(self) -> str:
        """How messages call it: file.py:Name."""
        return f"{self.path.name}:{self.name}"


def load(spec: str) -> LearnerFile:
    """Run the file of "file.py:Name" and return what is called Name in it; of "file.py", the only thing to check."""
    head, _, tail = spec.rpartition(":")
    path, name = (Path(head), tail) if head and tail.isidentifier() else (Path(spec), "")
    names = vars(run_file(path))
    candidates = [key for key, value in names.items() if _to_check(key, value, names)]
    if not name and len(candidates) == 1:
        name = candidates[0]
    if name in names:
        return LearnerFile(path, name, names[name], names)
    listed = f"the file has {', '.join(candidates)}" if candidates else "the file has no layer and no f with f_backward"
    if not name:
        raise ConfigError(f"{path.name} leaves open what to check: write {path.name}:Name; {listed}")
    close = difflib.get_close_matches(name, [key for key in names if not key.startswith("__")], 1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise ConfigError(f"{path.name} has no {name!r}{guess} ({listed})")


def as_function(thing: object) -> Passes:
    """Return `thing` as a function that claims to return (y, cache); whether it does, the trial looks at."""
    assert callable(thing)
    return thing


def has_passes(thing: object) -> bool:
    """True for what has a forward and a backward method."""
    return callable(getattr(thing, "forward", None)) and callable(getattr(thing, "backward", None))


def run_file(path: Path) -> ModuleType:
    """Run a file that is not ours and return it as a module. Raises ConfigError, with the line, for what goes wrong."""
    wanted = "give a Python file and a name in it, such as my_layer.py:MyLayer"
    if not path.exists():
        raise ConfigError(f"{path} does not exist; {wanted}")
    check_readable(path, wanted, ConfigError)
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    # As `python my_layer.py` would: the file may import its neighbours. Only for as long as it runs.
    sys.path.insert(0, str(path.resolve().parent))
    before, sys.modules[path.stem] = sys.modules.get(path.stem), module
    try:
        with tokenize.open(path) as text:
            code = compile(text.read(), str(path), "exec")
        exec(code, vars(module))
    except SyntaxError as error:
        where = f"{path.name}, line {error.lineno}" if error.lineno else path.name  # none for NUL, or no text at all
        line = f": {excerpt(error.text.strip())}" if error.text else ""
        raise ConfigError(f"{where}: {error.msg}{line}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be run: {error} ({place(error)})") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"running {path.name} raised {type(error).__name__}: {error} ({place(error)})") from error
    finally:
        sys.path.pop(0)
        _restore(path.stem, before)
    return module


def _restore(name: str, before: ModuleType | None) -> None:
    """Leave sys.modules as it was: the learner's torch.py must not become everybody's torch."""
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before


def _to_check(key: str, value: object, names: dict[str, object]) -> bool:
    if inspect.isclass(value):
        return has_passes(value) and value.__module__ == names["__name__"]
    return has_passes(value) or (inspect.isfunction(value) and f"{key}_backward" in names)
