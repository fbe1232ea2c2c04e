"""Data sets as a folder of IDX files under MNIST's names."""

import re
from pathlib import Path

from minikd.data.assembly import assemble
from minikd.data.dataset import Dataset
from minikd.data.idx import read_idx
from minikd.errors import DataError

FILE_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?")
NAMES_HELP = (
    "train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the test, t10k-images-idx3-ubyte, "
    "t10k-labels-idx1-ubyte (or with . before idx, or with .gz after it)"
)


def has_idx_files(folder: Path) -> bool:
    """Say whether any file in the folder has one of MNIST's names."""
    return any(FILE_NAME.fullmatch(path.name) for path in folder.iterdir())


def read_idx_folder(folder: Path, name: str, class_names: tuple[str, ...] | None = None) -> Dataset:
    """Return the data set of a folder with MNIST's file names, images and labels for training and test.

    Images are (N, H, W), or (N, H, W, C) or (N, C, H, W) in an idx4 file. Without test files, one sixth of the images
    becomes the test part (`assemble`). Where a file is there both as it is and gzipped, the first is read.
    """
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # so that a name overwrites the same name with .gz
        match = FILE_NAME.fullmatch(path.name)
        if match:
            found["train" if match[1] == "train" else "test", match[2]] = path
    wanted = {("train", "images"), ("train", "labels")}
    if any(split == "test" for split, _ in found):
        wanted |= {("test", "images"), ("test", "labels")}
    missing = sorted(f"{split} {kind}" for split, kind in wanted - set(found))
    if missing:
        raise DataError(
            f"{folder} has no file of {' and '.join(missing)} (found: {', '.join(p.name for p in found.values())}); "
            f"the names are {NAMES_HELP}"
        )
    read = {key: read_idx(path) for key, path in found.items()}
    test = (read["test", "images"], read["test", "labels"]) if ("test", "images") in read else None
    return assemble(name, (read["train", "images"], read["train", "labels"]), test, class_names)
