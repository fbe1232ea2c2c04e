"""Turns arrays from files into a `Dataset`: moves the channels to axis 1, counts the classes, splits off a test
part."""

import numpy as np

from minikd.console.notices import notice
from minikd.data.dataset import Dataset, Raw, check_lengths, checked_images, checked_labels
from minikd.data.splits import split_by_class
from minikd.errors import DataError
from minikd.typing import Ints, Pixels

CHANNELS = (1, 3)
TEST_SHARE = 6  # one image in six becomes the test part
TEST_SEED = 0

Part = tuple[Raw, Raw]
"""Images and their labels, unchecked."""


def assemble(name: str, train: Part, test: Part | None, class_names: tuple[str, ...] | None = None) -> Dataset:
    """Return the checked data set of a training and a test part, images in any layout that `channels_second` knows.

    If `test` is None, one sixth of the images of each class becomes the test part, chosen with a fixed seed. If
    `class_names` is None, the classes are the numbers up to the highest label.
    """
    names = class_names if class_names is not None else numbered_classes(train[1], f"{name}, train")
    images, labels = checked(train, len(names), f"{name}, train")
    if test is not None:
        return Dataset(name, images, labels, *checked(test, len(names), f"{name}, test"), names)
    if len(labels) < 2 * len(names):
        raise DataError(
            f"{name}: {len(labels)} images of {len(names)} classes are too few to take a test part from; give at "
            "least two of each class, or a separate test part"
        )
    train_index, test_index = split_by_class(labels, max(1, len(labels) // TEST_SHARE), TEST_SEED)
    kept, taken = (images[train_index], labels[train_index]), (images[test_index], labels[test_index])
    dataset = Dataset(name, *kept, *taken, names)
    notice(
        f"{name}: there is no test part, so a sixth of the images, {len(test_index):,} of {len(labels):,}, becomes "
        "the test part; these are always the same images"
    )
    return dataset


def checked(part: Part, classes: int, where: str) -> tuple[Pixels, Ints]:
    """Return the part's images as (N, C, H, W) and labels as int64 (N,), or raise `DataError`."""
    images = checked_images(channels_second(part[0], where), where)
    labels = checked_labels(part[1], classes, where)
    check_lengths(images, labels, where)
    return images, labels


def channels_second(images: Raw, where: str) -> Raw:
    """Return the images as (N, C, H, W), from (N, H, W), (N, C, H, W) or (N, H, W, C) with C of 1 or 3.

    With four axes, the channels are the second or the last axis, whichever has length 1 or 3. If both or neither have
    such a length, the layout is ambiguous, and `DataError` says so.
    """
    if images.ndim == 3:
        return images[:, None]
    if images.ndim != 4:
        raise DataError(
            f"{where}: images have shape {images.shape}, but must be (N, H, W), (N, H, W, C) or (N, C, H, W); "
            "reshape rows of pixels to (N, H, W)"
        )
    second, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if second and last:
        raise DataError(
            f"{where}: images of shape {images.shape} could be (N, C, H, W) or (N, H, W, C); "
            "give grey images as (N, H, W), and colour images with a side other than 1 or 3"
        )
    if not second and not last:
        raise DataError(
            f"{where}: images of shape {images.shape} have no channel axis: the second or the last axis must have "
            "length 1 (grey) or 3 (colour); leave out any other channel, such as transparency"
        )
    return images if second else np.ascontiguousarray(np.moveaxis(images, 3, 1))


def numbered_classes(labels: Raw, where: str) -> tuple[str, ...]:
    """Return the names "0", "1", ... up to the highest label. Labels that are not whole numbers are refused later."""
    if labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        return ("0",)
    highest = int(labels.max())  # as a Python number, because uint64 holds larger numbers than int64
    if highest >= labels.size:
        raise DataError(
            f"{where}: the highest label is {highest}, but {labels.size} images cannot show {highest + 1} classes; "
            "number the classes from 0 without gaps: np.unique(labels, return_inverse=True)[1]"
        )
    return tuple(str(number) for number in range(highest + 1))
