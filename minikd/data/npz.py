"""Data sets in NumPy's .npz files."""

from pathlib import Path

from minikd.console.notices import notice
from minikd.data.assembly import Part, assemble
from minikd.data.class_names import check_count, names_in
from minikd.data.dataset import Dataset
from minikd.data.npz_file import NpzArrays, opened_npz
from minikd.data.shown import shown
from minikd.errors import DataError

ArrayNames = tuple[str, str]
"""The names of images and of their labels."""

TRAIN_KEYS: tuple[ArrayNames, ...] = (("train_images", "train_labels"), ("x_train", "y_train"), ("images", "labels"))
BARE_KEYS: tuple[ArrayNames, ...] = (("x", "y"), ("data", "target"), ("data", "labels"))
VALIDATION_KEYS: tuple[ArrayNames, ...] = (("val_images", "val_labels"), ("x_val", "y_val"), ("x_valid", "y_valid"))
TEST_KEYS: tuple[ArrayNames, ...] = (("test_images", "test_labels"), ("x_test", "y_test"))
KEYS_HELP = (
    "train_images and train_labels (or x_train and y_train, or images and labels), "
    "optionally test_images and test_labels (or x_test and y_test), and class_names"
)


def read_npz(path: Path) -> Dataset:
    """Return the data set in an .npz file; pickled objects are refused.

    Arrays are named as `KEYS_HELP` says, in any case. Images are (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 in
    0-255 or floats in 0-1. Labels are whole numbers from 0. If there is no test part, `validation` images become the
    test part; otherwise they are left out. Without either, one sixth of the images becomes the test part (`assemble`).
    """
    with opened_npz(path) as arrays:
        train, test = pair(arrays, TRAIN_KEYS, path), pair(arrays, TEST_KEYS, path)
        if train is None and (train := complete(arrays, BARE_KEYS)):
            notice(f"{shown(path)}: {train[0]} is used as the training images, {train[1]} as their labels")
        if train is None:
            raise DataError(
                f"{shown(path)} holds {arrays.listed()}, but no training images; name the arrays {KEYS_HELP}"
            )
        if validation := complete(arrays, VALIDATION_KEYS):
            tell_validation(path, validation[0], test)
            test = test or validation
        parts = [read_pair(arrays, *names, path) for names in (train, *([test] if test else []))]
        key = arrays.named("class_names")
        found = arrays.read(key) if key else None
    if found is None:
        return assemble(path.stem, parts[0], parts[1] if test else None)
    names = names_in(found, shown(path))
    for _, labels in parts:
        check_count(names, labels, shown(path))
    return assemble(path.stem, parts[0], parts[1] if test else None, names)


def pair(arrays: NpzArrays, keys: tuple[ArrayNames, ...], path: Path) -> ArrayNames | None:
    """Return the first pair of images and labels that the file has, or None."""
    if found := complete(arrays, keys):
        return found
    for images, labels in keys:
        for wanted, missing in ((images, labels), (labels, images)):
            if (present := arrays.named(wanted)) and arrays.named(missing) is None and wanted != "labels":
                raise DataError(
                    f"{shown(path)} holds {present} but not {missing}; add {missing} to it. "
                    "Images without labels are for --unlabelled"
                )
    return None


def complete(arrays: NpzArrays, keys: tuple[ArrayNames, ...]) -> ArrayNames | None:
    """Return the names, as in the file, of the first pair of which the file has both arrays."""
    named = ((arrays.named(images), arrays.named(labels)) for images, labels in keys)
    return next(((images, labels) for images, labels in named if images and labels), None)


def read_pair(arrays: NpzArrays, images: str, labels: str, path: Path) -> Part:
    """Return images and labels, after checking in their headers that their numbers are equal."""
    many, few = arrays.header(images).shape[:1], arrays.header(labels).shape[:1]
    if many != few:
        raise DataError(
            f"{shown(path)} declares {arrays.listed()}: not as many {labels} as {images}; give each image one label"
        )
    return arrays.read(images), arrays.read(labels)


def tell_validation(path: Path, images: str, test: ArrayNames | None) -> None:
    """Print how validation images are used."""
    if test:
        notice(f"{shown(path)}: {images} is not used, because minikd takes validation images from the training part")
    else:
        notice(f"{shown(path)}: {images} is used as the test part, because there is no other")
