"""Data sets in NumPy's .npz files."""

from pathlib import Path

import numpy as np

from minikd.data.assembly import Part, assemble
from minikd.data.dataset import Dataset, Raw
from minikd.errors import DataError

TRAIN_KEYS = (("train_images", "train_labels"), ("x_train", "y_train"), ("images", "labels"))
TEST_KEYS = (("test_images", "test_labels"), ("x_test", "y_test"))
KEYS_HELP = (
    "train_images and train_labels (or x_train and y_train, or images and labels), "
    "optionally test_images and test_labels (or x_test and y_test), and class_names"
)


def read_npz(path: Path) -> Dataset:
    """Return the data set in an .npz file; pickled objects are refused.

    Names: see `KEYS_HELP`; others are ignored. Images: (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 in 0-255 or
    floats in 0-1. Labels: whole numbers from 0. Without a test part, one sixth of the images becomes it (`assemble`).
    """
    arrays = read_arrays(path)
    train, test = part(arrays, TRAIN_KEYS, path), part(arrays, TEST_KEYS, path)
    if train is None:
        found = ", ".join(arrays) or "nothing"
        raise DataError(f"{path} holds {found}, but no training images; name the arrays {KEYS_HELP}")
    class_names = arrays.get("class_names")
    names = None if class_names is None else tuple(str(name) for name in class_names.ravel())
    return assemble(path.stem, train, test, names)


def read_arrays(path: Path) -> dict[str, Raw]:
    """Return the file's arrays that a data set may use, by name; damage and pickles raise `DataError`."""
    wanted = {key for pair in TRAIN_KEYS + TEST_KEYS for key in pair} | {"class_names"}
    try:
        with path.open("rb") as stream:  # NumPy leaves a damaged file open when it opens it itself
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise DataError(f"{path} is a single array, not an .npz file; save it with np.savez: {KEYS_HELP}")
            return {key: file[key] for key in file.files if key in wanted}
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zipfile, zlib and NumPy's parser of headers raise many kinds
        raise DataError(
            f"{path} cannot be read as .npz: it is damaged, truncated or holds pickled objects, which are refused "
            f"({error}); write it again with np.savez_compressed and plain arrays"
        ) from error


def part(arrays: dict[str, Raw], pairs: tuple[tuple[str, str], ...], path: Path) -> Part | None:
    """Return the first pair of images and labels that the file has; None where it has none of them."""
    for images, labels in pairs:
        if images in arrays and labels in arrays:
            return arrays[images], arrays[labels]
        for present, missing in ((images, labels), (labels, images)):
            if present in arrays:
                raise DataError(f"{path} holds {present} but not {missing}; add {missing} to it")
    return None
