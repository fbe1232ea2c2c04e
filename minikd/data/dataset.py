"""A labelled set of images. It is checked once, when it is created, so that no other code has to check it again."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minikd.data.class_names import checked_names
from minikd.errors import DataError
from minikd.typing import Floats, Ints, Pixels, Shape

Raw = npt.NDArray[np.generic]
"""An array as a file or a caller gave it, of any dtype."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test images with their labels. The two parts are never mixed.

    Images are (N, C, H, W) with C of 1 or 3: uint8 in 0-255, or floats in 0-1, which are kept as float32. Labels are
    whole numbers from 0 to K-1, kept as int64; `class_names` has a name for each of the K classes. Anything else is
    refused with a `DataError` that names the value found, where, and the fix.
    """

    name: str
    train_images: Pixels
    train_labels: Ints
    test_images: Pixels
    test_labels: Ints
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", checked_names(self.class_names, self.name))
        for part in ("train", "test"):
            where = f"{self.name}, {part}"
            images = checked_images(unmasked(getattr(self, f"{part}_images"), where), where)
            labels = checked_labels(unmasked(getattr(self, f"{part}_labels"), where), len(self.class_names), where)
            check_lengths(images, labels, where)
            object.__setattr__(self, f"{part}_images", images)
            object.__setattr__(self, f"{part}_labels", labels)
        check_classes_appear(self.train_labels, self.class_names, self.name)
        check_same_form(self.train_images, self.test_images, self.name)

    def __repr__(self) -> str:
        train, test, shape = len(self.train_labels), len(self.test_labels), "x".join(map(str, self.image_shape))
        kind = f"{shape}, {self.train_images.dtype}, {self.classes} classes"
        return f"Dataset {self.name!r}: {train:,} training and {test:,} test images of {kind}"

    @property
    def image_shape(self) -> Shape:
        """The shape of one image, (C, H, W)."""
        return self.train_images.shape[1:]

    @property
    def classes(self) -> int:
        """The number of classes, K."""
        return len(self.class_names)


def unmasked(values: object, where: str) -> Raw:
    """Return values as a plain array. Refuses an array with masked values."""
    if np.ma.is_masked(values):
        raise DataError(f"{where}: some values are masked, and a plain array has no mask; leave those samples out")
    found: Raw = np.asarray(values)
    return found


def checked_images(images: Raw, where: str) -> Pixels:
    """Return the images as uint8 or float32, or raise `DataError`: empty, wrong shape, dtype or range, NaN."""
    if images.ndim != 4:
        raise DataError(
            f"{where}: images have shape {images.shape}, but must be (N, C, H, W); "
            "images[:, None] adds the channel axis to grey images (N, H, W)"
        )
    if 0 in images.shape:
        raise DataError(f"{where}: no pixels, the images have shape {images.shape}; give at least one image")
    if images.shape[1] not in (1, 3):
        raise DataError(
            f"{where}: images have {images.shape[1]} channels (shape {images.shape}), but must have 1 (grey) or 3 "
            "(colour); channels come second: move them there with np.moveaxis(images, -1, 1)"
        )
    if images.dtype == np.uint8:
        pixels: Pixels = images.astype(np.uint8, copy=False)
        return pixels
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"{where}: images are {images.dtype}, but must be uint8 in 0-255 or floats in 0-1; "
            "use images.astype('uint8') where the values fit"
        )
    floats: Floats = images.astype(np.float32, copy=False)
    check_range(floats, where)
    return floats


def check_range(images: Floats, where: str) -> None:
    """Refuse float images that are not finite or outside 0-1. The error names the first such image."""
    extremes = (1, 2, 3)
    low, high = images.min(axis=extremes), images.max(axis=extremes)  # a NaN pixel makes both NaN
    broken = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))
    if broken.size:
        first = int(broken[0])
        values = images[first]
        value = float(values[~np.isfinite(values)][0])
        raise DataError(
            f"{where}: image {first} holds {value} ({broken.size} of {len(images)} images are not finite); "
            "repair them with np.nan_to_num or leave them out"
        )
    outside = np.flatnonzero((low < 0) | (high > 1))
    if outside.size:
        first = int(outside[0])
        raise DataError(
            f"{where}: float images must lie in 0-1, but image {first} spans {low[first]:.6g} to {high[first]:.6g}; "
            "divide by 255, or give uint8; minikd normalises images itself"
        )


def checked_labels(labels: Raw, classes: int, where: str) -> Ints:
    """Return the labels as int64 (N,), or raise `DataError`: empty, not whole numbers, outside 0 to K-1."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # Keras' CIFAR files hold labels as a column
    if labels.ndim != 1:
        raise DataError(
            f"{where}: labels have shape {labels.shape}, but must be (N,), one whole number each; "
            "labels.argmax(axis=1) converts one-hot rows"
        )
    if labels.size == 0:
        raise DataError(f"{where}: no labels; give at least one labelled image")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{where}: labels are {labels.dtype} (the first is {labels.item(0)!r}), but must be whole numbers from 0; "
            "use labels.astype(int), or np.unique(labels, return_inverse=True) to number names"
        )
    numbers: Ints = labels.astype(np.int64, copy=False)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= classes))
    if wrong.size:
        raise DataError(
            f"{where}: label {labels[wrong[0]]} at sample {wrong[0]} is outside 0 to {classes - 1} ({classes} "
            "classes); number the classes from 0 without gaps, each with an image in the training set"
        )
    return numbers


def check_lengths(images: Pixels, labels: Ints, where: str) -> None:
    """Refuse images and labels if their numbers differ."""
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images)} images but {len(labels)} labels; give each image exactly one label")


def check_classes_appear(labels: Ints, class_names: tuple[str, ...], where: str) -> None:
    """Refuse fewer than two classes, and a class without a training image, which cannot be learned."""
    if len(class_names) < 2:
        names = ", ".join(class_names)
        raise DataError(f"{where}: {len(class_names)} class ({names}), but at least 2 are needed; add another")
    absent = np.flatnonzero(np.bincount(labels.astype(np.intp), minlength=len(class_names)) == 0)
    if absent.size:
        named = ", ".join(f"{c} ({class_names[c]!r})" for c in absent[:5])
        more = f" and {absent.size - 5} more" if absent.size > 5 else ""
        raise DataError(
            f"{where}: no training image has class {named}{more}; add images of it, or leave the class out and "
            "number the others from 0 without gaps"
        )


def check_same_form(train: Pixels, test: Pixels, where: str) -> None:
    """Refuse training and test images that differ in shape or in kind (uint8, float)."""
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"{where}: training images are {train.shape[1:]} (C, H, W) but test images {test.shape[1:]}; "
            "give both the same channels and size (--image-size HxW resizes)"
        )
    if train.dtype != test.dtype:
        raise DataError(
            f"{where}: training images are {train.dtype} but test images {test.dtype}; "
            "give both as uint8 in 0-255 or both as floats in 0-1"
        )
