"""Data sets as folders of pictures, one folder a class."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from minikd.data.assembly import Part, assemble
from minikd.data.dataset import Dataset
from minikd.data.pictures import SUFFIXES, read_pixels
from minikd.errors import DataError
from minikd.typing import Shape

LAYOUTS_HELP = "ROOT/train/CLASS/*.png with ROOT/test/CLASS/*.png, or ROOT/CLASS/*.png alone"


def read_class_folders(root: Path, size: tuple[int, int] | None = None) -> Dataset:
    """Return the data set of `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or of `ROOT/CLASS/*` alone.

    Each folder's name is its class; they are numbered in the order of the numbers where all are numbers, else of the
    alphabet. Pictures (`pictures.SUFFIXES`, also in folders below) are grey where all of them are, else colour. All
    must have one size, or `size` (height, width) stretches them. Hidden and other files are left out. Without test
    folders, one sixth of the images becomes the test part (`assemble`).
    """
    folders = subfolders(root)
    if "train" not in folders:
        if "test" in folders:
            raise DataError(f"{root} has a folder test but no train; the layouts are {LAYOUTS_HELP}")
        names = class_order(folders)
        return assemble(root.name, same_size([read_part(root, names, size)])[0], None, names)
    beside = sorted(set(folders) - {"train", "test"})
    if beside:
        raise DataError(
            f"{root} has {', '.join(beside)} beside train, which would be left out; "
            "name the folder to test on test, and move the others away"
        )
    names = class_order(subfolders(root / "train"))
    parts = [read_part(root / "train", names, size)]
    if "test" in folders:
        unknown = sorted(set(subfolders(root / "test")) - set(names))
        if unknown:
            raise DataError(
                f"{root / 'test'} has the class {unknown[0]!r}, which {root / 'train'} has not "
                f"({', '.join(names)}); add training images of it, or move it away"
            )
        parts.append(read_part(root / "test", names, size))
    arrays = same_size(parts)
    return assemble(root.name, arrays[0], arrays[1] if len(arrays) == 2 else None, names)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, without the hidden ones and those that archives leave behind."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def class_order(names: list[str]) -> tuple[str, ...]:
    """Return the names in the order of their numbers where all are numbers (2 before 10), else as they are."""
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names))


Pictures = list[tuple[Path, int, npt.NDArray[np.uint8]]]
"""Each picture's file, label and pixels."""


def read_part(folder: Path, names: tuple[str, ...], size: tuple[int, int] | None) -> Pictures:
    """Return every picture below the class folders, with its label; a class without one may be so in a test part."""
    pictures: Pictures = []
    for label, name in enumerate(names):
        below = sorted((folder / name).rglob("*")) if (folder / name).is_dir() else []
        files = [p for p in below if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()]
        if not files and folder.name != "test":
            raise DataError(
                f"{folder / name} holds no picture ({', '.join(SUFFIXES)}); add some, or remove the folder: "
                f"the layouts are {LAYOUTS_HELP}"
            )
        pictures += [(path, label, read_pixels(path, size)) for path in files]
    return pictures


def same_size(parts: list[Pictures]) -> list[Part]:
    """Return each part as (images, labels) arrays of one size and number of channels; name two files that differ."""
    pictures = [picture for part in parts for picture in part]
    if not pictures:
        raise DataError(f"no pictures found; the layouts are {LAYOUTS_HELP}")
    first_path, _, first = pictures[0]
    for path, _, pixels in pictures:
        if pixels.shape[1:] != first.shape[1:]:
            raise DataError(
                f"pictures differ in size: {first_path} is {as_size(first.shape)}, {path} is {as_size(pixels.shape)} "
                f"(height x width); resize them all with --image-size {as_size(first.shape)}"
            )
    channels = max(pixels.shape[0] for _, _, pixels in pictures)
    shape = (channels, *first.shape[1:])
    arrays: list[Part] = []
    for part in parts:
        images = np.empty((len(part), *shape), np.uint8)
        for image, (_, _, pixels) in zip(images, part, strict=True):
            image[...] = pixels  # a grey picture fills all three channels of a colour one
        arrays.append((images, np.array([label for _, label, _ in part], np.int64)))
    return arrays


def as_size(shape: Shape) -> str:
    """Return (C, H, W) as "HxW", the way the flag takes it."""
    return f"{shape[1]}x{shape[2]}"
