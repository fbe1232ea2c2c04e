"""Runs a user's Python file: `FILE.py:NAME` names a layer, a loss, a method or a data set in it.

This is the one loader for all of them. A file is run as `python FILE.py` would run it, and only because somebody named
it: nothing here is called by reading a weights file or a recipe. Whatever goes wrong in such a file is refused with the
file's own line.
"""

import ast
import difflib
import hashlib
import sys
import tokenize
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minikd.errors import ConfigError
from minikd.storage.reading import check_readable, excerpt

MARK = "__minikd_outside__"
"""A name in the globals of every file that was run here. It tells `user_file_error` that a line is in a user's file."""


@dataclass(frozen=True)
class OutsideThing:
    """A file that was run, the requested name, and the object with this name."""

    path: Path
    name: str
    thing: object
    names: Mapping[str, object]

    @property
    def where(self) -> str:
        """Its name in messages: file.py:Name."""
        return f"{self.path.name}:{self.name}"


@dataclass(frozen=True)
class ObjectKind:
    """The kind of object that a command needs from a file.

    open: what a file of several leaves open. none: what a file without any lacks. example: a FILE.py:NAME. fits:
    whether a name, what it names, and the file's other names are that.
    """

    open: str
    none: str
    example: str
    fits: Callable[[str, object, Mapping[str, object]], bool]


def split(spec: str) -> tuple[Path, str]:
    """Return the file and the name of "file.py:Name". Without a name, it is ""."""
    head, _, tail = spec.rpartition(":")
    return (Path(head), tail) if head and tail.isidentifier() else (Path(spec), "")


def is_spec(text: str) -> bool:
    """Return whether a text is FILE.py or FILE.py:NAME, and not a name in minikd."""
    return split(text)[0].suffix == ".py"


def absolute(spec: str) -> str:
    """Return FILE.py:NAME with the file's absolute path, so that a recipe works in every folder."""
    path, name = split(spec)
    return f"{path.expanduser().absolute()}{f':{name}' if name else ''}"


def file_digest(spec: str) -> str:
    """Return 32 hexadecimal digits that change with a file's text, or with a file that it imports from its own folder.

    Raises ConfigError if the file is missing or cannot be read.
    """
    path = split(spec)[0].expanduser()
    check_there(path, "put it back, or name the place where it is now")
    files = [path]
    for file in files:  # the list grows while files import other files
        files += [one for one in imported_neighbours(file) if one not in files]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:32]


def imported_neighbours(path: Path) -> list[Path]:
    """Return the files that a file imports from its own folder by `import NAME` or `from NAME import ...`, sorted."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # running the file reports it
        return []
    names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    files = {path.with_name(f"{name.split('.')[0]}.py") for name in names}
    return sorted(file for file in files if file.is_file())


def find(spec: str, wanted: ObjectKind) -> OutsideThing:
    """Run the file of "file.py:Name" and return the object with this name.

    For "file.py", return the only object that fits.

    Raises ConfigError for a file that cannot be run, and for a missing name.
    """
    path, name = split(spec)
    names = vars(run_file(path, wanted.example))
    candidates = [key for key, value in names.items() if wanted.fits(key, value, names)]
    if not name and len(candidates) == 1:
        name = candidates[0]
    if name in names:
        return OutsideThing(path, name, names[name], names)
    listed = f"the file has {', '.join(candidates)}" if candidates else f"the file has {wanted.none}"
    if not name:
        raise ConfigError(f"{path.name} does not tell {wanted.open}; write {path.name}:NAME; {listed}")
    close = difflib.get_close_matches(name, [key for key in names if not key.startswith("__")], 1)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise ConfigError(f"{path.name} has no {name!r}{guess} ({listed})")


def check_there(path: Path, fix: str) -> None:
    """Refuse a file that is missing or cannot be read."""
    if not path.exists():
        raise ConfigError(f"{path} does not exist; {fix}")
    check_readable(path, fix, ConfigError)


def run_file(path: Path, example: str = "my_layer.py:MyLayer") -> ModuleType:
    """Run a user's file and return it as a module. If it fails, raises ConfigError with the line."""
    check_there(path, f"give a Python file and a name in it, such as {example}")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    vars(module)[MARK] = True
    # As with `python my_layer.py`, the file may import files of its folder, but only while it runs.
    sys.path.insert(0, str(path.resolve().parent))
    before, sys.modules[path.stem] = sys.modules.get(path.stem), module
    try:
        with tokenize.open(path) as text:
            code = compile(text.read(), str(path), "exec")
        exec(code, vars(module))
    except SyntaxError as error:
        where = f"{path.name}, line {error.lineno}" if error.lineno else path.name  # none for NUL, or no text
        line = f": {excerpt(error.text.strip())}" if error.text else ""
        raise ConfigError(f"{where}: {error.msg}{line}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be run: {error} ({place(error)})") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"running {path.name} raised {raised(error)}") from error
    finally:
        sys.path.pop(0)
        _restore(path.stem, before)
    return module


def _restore(name: str, before: ModuleType | None) -> None:
    """Restore sys.modules, so that a user's torch.py does not replace torch for other code."""
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before


def raised(error: BaseException) -> str:
    """Return an exception of a user's code in one line: its type, its text, and its place."""
    return f"{type(error).__name__}: {error} ({place(error)})"


def place(error: BaseException) -> str:
    """Return where in a user's code an exception was raised: the file, the line's number and the line."""
    import numpy as np

    libraries = (str(Path(__file__).parent), str(Path(np.__file__).parent))
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(libraries)] or list(frames)
    frame = theirs[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}: {frame.line}"


def user_file_error(error: BaseException) -> str:
    """Return an exception's text with the line, if a file that was run here is in its traceback, or else ""."""
    if not any(MARK in frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__)):
        return ""
    return raised(error)
