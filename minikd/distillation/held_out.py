"""Which training images the search holds out: a fifth, or of few images a third, in turn where need be."""

import numpy as np

from minikd.data.splits import split_by_class, stratified_folds
from minikd.typing import Ints

HELD_OUT, LEAST, MOST = 0.2, 20, 2000
"""The part of the training images that a round holds out, and how many these are at least and at most."""

ENOUGH = 100, 300
"""The held-out images that are enough, round by round, to drop the worse half and to choose the best."""

FOLDS = 3
"""Parts of a set whose fifth is fewer images than are enough."""


def splits(labels: Ints, number: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return the images that a round trains on and those that it holds out: of one split, or of each fold."""
    seed, count = seed + number + 1, held_out(labels)
    if count >= ENOUGH[-1]:
        return [split_by_class(labels, count, seed)]
    folds = [one for one in stratified_folds(labels, FOLDS, seed) if len(one[1])]
    return folds[:1] if len(folds[0][1]) >= ENOUGH[number] else folds


def held_out(labels: Ints) -> int:
    """Return how many images one split holds out; 0 where there are too few to learn anything from."""
    wanted = min(max(LEAST, round(HELD_OUT * len(labels))), MOST)
    most = min(len(labels) // 2, len(labels) - len(np.unique(labels)))
    return min(wanted, most)
