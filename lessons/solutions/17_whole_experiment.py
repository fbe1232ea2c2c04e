"""Lesson 17: hold images out, and state a result in a word, solved."""

import numpy as np
from scipy.stats import t


def split(labels, share, rng):
    """Return (train, held): the indices of the samples to learn from, and of those held out, both sorted."""
    held = []
    for one in np.unique(labels):
        members = np.flatnonzero(labels == one)
        held += list(rng.permutation(members)[: int(share * len(members))])
    return np.setdiff1d(np.arange(len(labels)), held), np.sort(np.array(held, dtype=int))


def verdict(ours, theirs):
    """Return "fewer", "more" or "undecided"."""
    differences = np.asarray(ours) - np.asarray(theirs)
    half = t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    if abs(differences.mean()) <= half:
        return "undecided"
    return "fewer" if differences.mean() < 0 else "more"
