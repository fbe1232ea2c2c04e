"""Finds in a user's file what can be checked: a layer, or a function with its backward pass."""

import inspect
from collections.abc import Callable, Mapping

from minikd.outside import Wanted
from minikd.typing import Floats

Passes = Callable[..., tuple[Floats, object]]
"""A function of a learner's, as it should be."""


def as_function(thing: object) -> Passes:
    """Return `thing` as a function that claims to return (y, cache); whether it does, the trial looks at."""
    assert callable(thing)
    return thing


def has_passes(thing: object) -> bool:
    """True for what has a forward and a backward method."""
    return callable(getattr(thing, "forward", None)) and callable(getattr(thing, "backward", None))


def _to_check(key: str, value: object, names: Mapping[str, object]) -> bool:
    if inspect.isclass(value):
        return has_passes(value) and value.__module__ == names["__name__"]
    return has_passes(value) or (inspect.isfunction(value) and f"{key}_backward" in names)


LEARNER = Wanted("what to check", "no layer and no f with f_backward", "my_layer.py:MyLayer", _to_check)
"""The names that `minikd gradcheck` accepts in a file."""
