"""A user's own methods: a subclass of Method or a plain function, given in Python or as FILE.py:NAME."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from functools import cache

from minikd.errors import ConfigError, MinikdError
from minikd.methods.function import SIGNATURE, from_function
from minikd.methods.method import Method
from minikd.outside import ObjectKind, file_digest, find, raised

WHAT = f"a subclass of minikd.methods.Method, or a function {SIGNATURE} -> (loss, gradient)"


def is_method(key: str, value: object, names: Mapping[str, object]) -> bool:
    """Return whether a name in a file is a method's class or a function that is defined in that file."""
    own = getattr(value, "__module__", "") == names["__name__"]
    return own and ((inspect.isclass(value) and issubclass(value, Method)) or inspect.isfunction(value))


METHOD = ObjectKind("which is the method", "no method and no function", "my_method.py:MyMethod", is_method)
"""The kinds of objects that `--method` accepts from a file."""


def kind_in_file(spec: str) -> type[Method]:
    """Return the method of FILE.py:NAME. The file is run again only if its text has changed."""
    return _kind_in_file(spec, file_digest(spec))


@cache
def _kind_in_file(spec: str, digest: str) -> type[Method]:
    found = find(spec, METHOD)
    return as_kind(found.thing, found.where, found.name)


def as_kind(thing: object, where: str, name: str = "") -> type[Method]:
    """Return a method's class as it is, and a function as a method. Raises ConfigError for anything else."""
    if inspect.isclass(thing) and issubclass(thing, Method):
        check_method_class(thing, where)
        return thing
    if isinstance(thing, Method):
        raise ConfigError(
            f"{where} is an object of {type(thing).__name__}; name the class, and give its settings with --method-arg"
        )
    if inspect.isclass(thing) or not callable(thing):
        what = f"the class {thing.__name__}" if inspect.isclass(thing) else f"of type {type(thing).__name__}"
        raise ConfigError(f"{where} is {what}, but must be {WHAT}, or the name of a method such as 'soft_targets'")
    return from_function(thing, name)


def check_method_class(kind: type[Method], where: str) -> None:
    """Refuse a class that is not a complete method, and say what is missing."""
    name = kind.__name__
    if lacking := sorted(getattr(kind, "__abstractmethods__", ())):
        raise ConfigError(f"{where}: the class {name} lacks {', '.join(lacking)}, which its base leaves open")
    known = {one.name: one for one in fields(kind)}
    for setting, annotation in vars(kind).get("__annotations__", {}).items():
        if setting not in known and "ClassVar" not in str(annotation):
            raise ConfigError(f"{where}: {setting} is no setting yet; write @dataclass(frozen=True) above class {name}")
    for one in known.values():
        if "help" not in one.metadata:
            raise ConfigError(
                f"{where}: the setting {one.name} needs a default and a description; write "
                f"{one.name}: float = setting(1.0, 'what it is'), with `from minikd.settings import setting`"
            )
    try:
        kind()
    except MinikdError:
        raise
    except Exception as error:
        raise ConfigError(f"{where}: {name}() raised {raised(error)}") from error
