"""Splits a set of samples in two, or in folds, class by class. The same seed always gives the same split."""

import numpy as np

from minikd.data.dataset import Dataset
from minikd.errors import ConfigError
from minikd.typing import Ints


def hold_out(dataset: Dataset, count: int, seed: int) -> tuple[Ints, Ints]:
    """Split the training set to choose settings: return (training index, validation index), each sorted.

    `count` images go to validation, chosen at random within each class in proportion to the class's size (see
    `split_by_class`). Both are indices into `dataset.train_images`; the test set is not touched.
    """
    return split_by_class(dataset.train_labels, count, seed)


def split_by_class(labels: Ints, count: int, seed: int) -> tuple[Ints, Ints]:
    """Return (kept index, taken index) with `count` samples taken, each class in proportion; both sorted.

    Each class is shuffled by `seed`, and its sample of rank r among n gets the position (r + 1/2) / n. The `count`
    samples with the lowest positions are taken. So every class gives its share, up to rounding. The last sample of a
    class is never taken, so every class keeps at least one. Raises `ConfigError` if `count` is not in 0 to N - K.
    """
    sizes = np.bincount(labels.astype(np.intp))
    most = len(labels) - int(np.count_nonzero(sizes))
    if not 0 <= count <= most:
        raise ConfigError(
            f"cannot hold out {count} of {len(labels)} images: the number must be 0 to {most}, "
            "so that every class keeps at least one training image"
        )
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    size = sizes[labels[by_class]]
    rank = np.arange(len(labels)) - (np.cumsum(sizes) - sizes)[labels[by_class]]
    standing = np.where(rank == size - 1, np.inf, (rank + 0.5) / size)
    taken = by_class[np.argsort(standing, kind="stable")[:count]]
    kept = np.ones(len(labels), dtype=bool)
    kept[taken] = False
    return np.flatnonzero(kept), np.sort(taken)


def stratified_folds(labels: Ints, count: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return `count` pairs (kept index, taken index), both sorted, for k-fold cross-validation (Stone 1974).

    Samples are shuffled by `seed`, sorted by class, and dealt to the folds like cards. So the folds' sizes differ by at
    most one, and so do the numbers of each class in them. Every sample is taken once, except a class's only sample:
    it is kept in every fold, because nothing can be learned about a class that has no sample left.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    by_class = by_class[np.bincount(labels.astype(np.intp))[labels[by_class]] > 1]
    taken = [np.sort(by_class[fold::count]) for fold in range(count)]
    return [(np.setdiff1d(np.arange(len(labels)), one), one) for one in taken]
