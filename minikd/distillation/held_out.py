"""Chooses the training images that the search holds out: a fifth; of few images a third, or each third in turn."""

import numpy as np

from minikd.data.splits import split_by_class, stratified_folds
from minikd.typing import Ints

HELD_OUT, LEAST, MOST = 0.2, 20, 2000
"""The fraction of the training images that a round holds out, and the minimum and maximum number."""

ENOUGH = 100, 300
"""How many held-out images are enough in each round, to drop the worse half and then to choose the best."""

FOLDS = 3
"""The number of parts of a set, if a fifth of it is not enough images."""


def splits(labels: Ints, number: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return the images that a round trains on and those that it holds out, for one split or for each fold."""
    seed, count = seed + number + 1, held_out(labels)
    if count >= ENOUGH[-1]:
        return [split_by_class(labels, count, seed)]
    folds = [one for one in stratified_folds(labels, FOLDS, seed) if len(one[1])]
    return folds[:1] if len(folds[0][1]) >= ENOUGH[number] else folds


def held_out(labels: Ints) -> int:
    """Return how many images one split holds out, or 0 if there are too few images to learn anything."""
    wanted = min(max(LEAST, round(HELD_OUT * len(labels))), MOST)
    most = min(len(labels) // 2, len(labels) - len(np.unique(labels)))
    return min(wanted, most)
