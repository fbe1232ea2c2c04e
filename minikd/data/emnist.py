"""EMNIST and QMNIST. Their files differ from MNIST's: images lie on their side, letters are numbered from 1, QMNIST has
more labels.

EMNIST: Cohen, Afshar, Tapson, van Schaik, "EMNIST: extending MNIST to handwritten letters", 2017.
QMNIST: Yadav, Bottou, "Cold case: the lost MNIST digits", 2019.
"""

import string

import numpy as np

from minikd.console.notices import notice
from minikd.data.assembly import Part
from minikd.data.dataset import Raw

MERGED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
"""The classes if a letter whose two cases look alike is one class."""

CLASSES: dict[str, tuple[str, ...]] = {
    "emnist-balanced": MERGED,
    "emnist-bymerge": MERGED,
    "emnist-byclass": (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase),
    "emnist-letters": tuple(string.ascii_uppercase),
    "emnist-digits": tuple(string.digits),
    "emnist-mnist": tuple(string.digits),
    "qmnist": tuple(string.digits),
}


def corrected_set(
    name: str, train: Part, test: Part | None, where: str
) -> tuple[Part, Part | None, tuple[str, ...] | None]:
    """Return the parts of the set `name` with upright images and labels from 0, and its class names.

    The names are None if the set, or its highest label, is unknown. Notices say what was changed.
    """
    parts = [train] if test is None else [train, test]
    if name == "qmnist":
        notice(f"{where}: {name} has several numbers for each image; the first, the digit, is used as the label")
        parts = [(images, first_column(labels)) for images, labels in parts]
    else:
        tell_upright(name, where)
        parts = [(upright(images), labels) for images, labels in parts]
    if name == "emnist-letters" and numbered_from_one(parts[0][1]):
        notice(f"{where}: the labels of {name} start at 1; they are numbered again from 0: A, B, C, ...")
        parts = [(images, labels.astype(np.int64) - 1) for images, labels in parts]
    return parts[0], parts[1] if test is not None else None, known_names(name, parts[0][1])


def tell_upright(name: str, where: str) -> None:
    """Print a notice that the images of a set are turned upright."""
    notice(f"{where}: the images of {name} are stored rotated in its files; they are turned upright")


def upright(images: Raw) -> Raw:
    """Return images (N, H, W) with rows and columns exchanged."""
    return np.ascontiguousarray(images.swapaxes(1, 2)) if images.ndim == 3 else images


def first_column(labels: Raw) -> Raw:
    """Return QMNIST's labels without its other columns: writer, place, ..."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] else labels


def numbered_from_one(labels: Raw) -> bool:
    """Say whether no label is 0."""
    return bool(labels.size and labels.astype(np.int64).min() == 1)


def known_names(name: str, labels: Raw) -> tuple[str, ...] | None:
    """Return the names of the classes up to the highest label; None if they are unknown."""
    names = CLASSES.get(name, ())
    highest = int(labels.astype(np.int64).max()) if labels.size else 0
    return names[: highest + 1] if highest < len(names) else None
