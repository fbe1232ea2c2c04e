"""Data sets as folders of pictures, one folder for each class."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minikd.console.notices import notice
from minikd.data.assembly import assemble
from minikd.data.dataset import Dataset
from minikd.data.layout import LAYOUTS_HELP, layout_of
from minikd.data.picture_set import read_pictures
from minikd.data.shown import composed, first_names, is_text, shown
from minikd.data.trees import SUFFIXES, Tree
from minikd.errors import DataError

OTHER_PICTURES = frozenset(
    (
        *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".psd"),
        *(".svg", ".eps", ".pdf", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".exr", ".hdr"),
        *(".dcm", ".dicom", ".nii", ".fits", ".npy", ".mat", ".pcx", ".xpm", ".dib", ".apng", ".jfi", ".jif", ".jxr"),
    )
)
"""The suffixes of picture files that cannot be read."""


def read_class_folders(root: Tree, size: tuple[int, int] | None = None) -> Dataset:
    """Return the data set of `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or of `ROOT/CLASS/*` alone.

    `layout_of` describes the names of the parts and what else may be there. Each folder's name is its class. If all
    names are numbers, the classes are in the order of the numbers, else in alphabetical order. Pictures (`SUFFIXES`,
    also in folders below) become grey if all of them are grey, else colour. All must have the same size, or `size`
    (height, width) stretches them. Hidden and other files are left out. Without test folders, one sixth of the images
    becomes the test part (`assemble`).
    """
    layout = layout_of(root)
    train = by_class(layout.train)
    names = class_order(list(train))
    parts = [train]
    if layout.test:
        parts.append(by_class(layout.test))
        check_known(parts[1], names, layout.test.path, layout.train.path)
        tell_untested(parts[1], names, layout.test.path)
    for name, tree in train.items():
        check_filled(name, tree)
    files = [labelled(part, names) for part in parts]
    tell_left_out(root.path, [tree for part in parts for tree in part.values()])
    images = read_pictures(shown(root.path), [path for part in files for path, _ in part], size)
    labels = np.array([label for part in files for _, label in part], np.int64)
    train_part, test_part = ((images[at], labels[at]) for at in (slice(len(files[0])), slice(len(files[0]), None)))
    return assemble(shown(root.path.name), train_part, test_part if layout.test else None, names)


def by_class(part: Tree) -> dict[str, Tree]:
    """Return the class folders of a part by the names of their classes.

    Raises `DataError` if two names are the same.
    """
    found: dict[str, Tree] = {}
    for folder, tree in part.folders.items():
        if not is_text(folder):
            raise DataError(
                f"{shown(part.path)} has a class folder '{shown(folder)}', whose name is not valid text (UTF-8 "
                "without control characters); rename the folder"
            )
        name = composed(folder)
        if name in found:
            raise DataError(
                f"{shown(part.path)} has two class folders {name!r} whose names look alike: "
                f"{found[name].path.name!a} and {folder!a}; merge them, or rename one"
            )
        found[name] = tree
    return found


def class_order(names: list[str]) -> tuple[str, ...]:
    """Return the names in the order of their numbers if all are numbers (2 before 10), else unchanged."""
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names))


def check_known(test: Mapping[str, Tree], names: tuple[str, ...], folder: Path, train: Path) -> None:
    """Refuse classes that are only in the test part."""
    unknown = sorted(set(test) - set(names))
    if unknown:
        raise DataError(
            f"{shown(folder)} has the class {unknown[0]!r}, but {shown(train)} does not ({first_names(list(names))}); "
            "add training images of this class, or move the folder away"
        )


def tell_untested(test: Mapping[str, Tree], names: tuple[str, ...], folder: Path) -> None:
    """Say which classes have no test picture. Often, a folder was forgotten."""
    untested = [name for name in names if name not in test or not test[name].all_pictures()]
    if untested:
        notice(f"{shown(folder)} has no picture of {first_names(untested)}, so no result tells how well it is learned")


def check_filled(name: str, tree: Tree) -> None:
    """Refuse a class without a picture; the error says what its folder holds instead."""
    if tree.all_pictures():
        return
    others = by_suffix(tree.all_others())
    found = f", but {others}" if others else ""
    raise DataError(
        f"{shown(tree.path)} holds no picture ({', '.join(SUFFIXES)}){found}; add some, or remove the folder: "
        f"the layouts are {LAYOUTS_HELP}"
    )


def labelled(part: Mapping[str, Tree], names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return each picture of a part with its label."""
    return [(path, label) for label, name in enumerate(names) if name in part for path in part[name].all_pictures()]


def tell_left_out(root: Path, trees: list[Tree]) -> None:
    """Say which pictures are left out because of their format."""
    others = [path for tree in trees for path in tree.all_others() if path.suffix.lower() in OTHER_PICTURES]
    if others:
        notice(f"{shown(root)}: left out {by_suffix(others)}: save them as PNG or JPEG to include them")


def by_suffix(files: list[Path]) -> str:
    """Return how many files there are of each suffix, as "12 .heic, 1 .txt files"."""
    counts: dict[str, int] = {}
    for path in files:
        suffix = shown(path.suffix.lower()) or "nameless"
        counts[suffix] = counts.get(suffix, 0) + 1
    listed = [f"{count:,} {suffix}" for suffix, count in sorted(counts.items(), key=lambda one: -one[1])]
    return first_names(listed) + " files" if listed else ""
