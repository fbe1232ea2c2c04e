"""Finds in a user's file what can be checked: a layer, or a function with its backward pass."""

import inspect
from collections.abc import Callable, Mapping

from minikd.outside import ObjectKind
from minikd.typing import Floats

Passes = Callable[..., tuple[Floats, object]]
"""A user's function, with the type that it should have."""


def as_function(thing: object) -> Passes:
    """Return `thing` as a function that should return (y, cache). The trial checks whether it does."""
    assert callable(thing)
    return thing


def has_passes(thing: object) -> bool:
    """True for an object with a forward and a backward method."""
    return callable(getattr(thing, "forward", None)) and callable(getattr(thing, "backward", None))


def _to_check(key: str, value: object, names: Mapping[str, object]) -> bool:
    if inspect.isclass(value):
        return has_passes(value) and value.__module__ == names["__name__"]
    return has_passes(value) or (inspect.isfunction(value) and f"{key}_backward" in names)


LEARNER = ObjectKind("what to check", "no layer and no f with f_backward", "my_layer.py:MyLayer", _to_check)
"""The names that `minikd gradcheck` accepts in a file."""
