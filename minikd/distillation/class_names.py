"""Matches the classes of a model and of a data set by name: output 3 may be a cat in one and a dog in the other."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minikd.console.notices import notice
from minikd.data import Dataset
from minikd.data.shown import composed
from minikd.errors import CheckpointError

SHOWN = 8
"""Class names that a message lists."""


def match(theirs: Sequence[str], ours: Sequence[str], who: str, where: str) -> tuple[int, ...]:
    """Return, for each of our K classes in order, its number among their classes.

    theirs: the classes of a model, `who`. ours: those of a data set, `where`. If the same names are in another order, a
    notice says so. If only one side has names and the other only numbers, 0 to K-1, they cannot be compared. Then the
    order counts, and a notice says so. Raises CheckpointError for different names.
    """
    a, b = [composed(name) for name in theirs], [composed(name) for name in ours]
    if a == b:
        return tuple(range(len(b)))
    if sorted(a) == sorted(b):
        notice(f"{who} has the classes of {where} in another order, {listed(a)}; they are matched by name")
        return tuple(a.index(name) for name in b)
    if len(a) == len(b) and numbered(a) != numbered(b) and not set(a) & set(b):
        plain, named = (who, b) if numbered(a) else (where, a)
        first = ", ".join(f"{i} is {name!r}" for i, name in enumerate(named[:3]))
        notice(
            f"{plain} has numbers as class names, so the order of the classes is used: "
            f"{first}{', ...' if named[3:] else ''}"
        )
        return tuple(range(len(b)))
    raise CheckpointError(difference(a, b, who, where))


def numbered(names: Sequence[str]) -> bool:
    """Return whether the names are 0, 1, 2, ..., as for classes without names."""
    return list(names) == [str(number) for number in range(len(names))]


def difference(theirs: Sequence[str], ours: Sequence[str], who: str, where: str) -> str:
    """Return which classes only one of the two has, and the fix."""
    only_theirs = [name for name in theirs if name not in ours]
    only_ours = [name for name in ours if name not in theirs]
    both = len([name for name in ours if name in theirs])
    alike = sorted(map(folded, only_theirs)) == sorted(map(folded, only_ours))
    hint = "they differ in case, blanks or signs alone: " if alike and only_ours else ""
    return (
        f"{who} knows other classes than {where} has: {listed(only_theirs)}, where the data has {listed(only_ours)} "
        f"({both} more in common); {hint}give the data's classes the names that the model knows, or use weights "
        "trained on this data"
    )


def folded(name: str) -> str:
    """Return only the letters and digits of a name, in lower case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def listed(names: Sequence[str]) -> str:
    """Return a few of the names for a message, and the number of the others."""
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN:,} more" if len(names) > SHOWN else shown or "none"


def renumbered(data: Dataset, order: Sequence[int], names: Sequence[str]) -> Dataset:
    """Return the data set with these class names, in a model's order: our class j is the model's class `order[j]`."""
    if list(order) == list(range(len(order))):
        return data
    numbers = np.array(order)
    train, test = numbers[data.train_labels], numbers[data.test_labels]
    return replace(data, train_labels=train, test_labels=test, class_names=tuple(names))
