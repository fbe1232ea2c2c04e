"""Arguments that had other names.

Old files still load, and for a call with an old name, the error gives the new one.
"""

import functools
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from minikd.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")

WRITTEN_BEFORE = {
    "Dropout(p=": "Dropout(rate=",
    "LeakyReLU(negative_slope=": "LeakyReLU(slope=",
    "BatchNorm1d(num_features=": "BatchNorm1d(features=",
    "BatchNorm2d(num_features=": "BatchNorm2d(features=",
    "LayerNorm(normalized_shape=": "LayerNorm(shape=",
}


def renamed(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a function with renamed arguments: `renamed(old="new")`.

    A call with an old name raises ConfigError with the new name. `new_names_of` returns the names.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in new_names.keys() & kwargs.keys():
                called = function.__qualname__.removesuffix(".__init__").lstrip("_")
                raise ConfigError(f"{called}'s argument {old!r} is now {new_names[old]!r}")
            return function(*args, **kwargs)

        vars(checked)["new_names"] = new_names
        return checked

    return decorate


def new_names_of(function: object) -> Mapping[str, str]:
    """Return the new name of each renamed argument of a function, by the old name."""
    names: Mapping[str, str] = getattr(function, "new_names", {})
    return names


def as_before(line: str) -> str:
    """Return a model's one-line description with the old names, which are a part of the identities in run folders."""
    for now, before in WRITTEN_BEFORE.items():
        line = line.replace(now, before)
    return line
