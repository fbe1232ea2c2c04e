"""A folder and all that counts as data below it.

No part of a path below the data folder may be hidden or one of the systems' own: such folders hold copies of pictures,
which would be counted twice and leak from the training into the test. No link may lead out of the data folder.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minikd.console.notices import notice
from minikd.data.shown import shown, some
from minikd.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jfif", ".jpe")
"""Of the files that are read as pictures, in any case."""

DEEPEST = 32
"""Folders in folders; a data set has two or three."""

SYSTEMS_OWN = frozenset(
    (
        *("system volume information", "recycler", "recycled", "msocache", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("lost+found", "lost.dir", "#recycle", "#snapshot", "~snapshot", "_gsdata_", "wpsystem", "cvs"),
        *("network trash folder", "temporary items", "thevolumesettingsfolder", "resource.frk", "icon\r"),
    )
)
"""What Windows, Android, macOS, file servers and editors leave in folders, beside names that begin as below."""

BEGINNING = re.compile(r"[.]|:2e|__|@[a-z_]|\$[a-z]|_vti_|found\.\d", re.IGNORECASE)
"""How hidden names and systems' own begin: .git, __MACOSX, @eaDir, $RECYCLE.BIN, found.000, ..."""


@dataclass(frozen=True)
class Tree:
    """A folder: the folders in it by name, its pictures, and its other files."""

    path: Path
    folders: dict[str, "Tree"] = field(default_factory=dict)
    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def all_pictures(self) -> list[Path]:
        """Return the pictures here and below, in the order of their paths."""
        return sorted(path for tree in self.walk() for path in tree.pictures)

    def all_others(self) -> list[Path]:
        """Return the other files here and below."""
        return [path for tree in self.walk() for path in tree.others]

    def walk(self) -> Iterator["Tree"]:
        """Yield this folder and those below it."""
        yield self
        for tree in self.folders.values():
            yield from tree.walk()

    def filled(self) -> dict[str, "Tree"]:
        """Return the folders in it that have a picture in them or below."""
        return {name: tree for name, tree in self.folders.items() if any(one.pictures for one in tree.walk())}


@dataclass
class Left:
    """What was left out on the way: names of hidden folders that hold pictures, and links to folders not followed."""

    hidden: set[str] = field(default_factory=set)
    loops: list[str] = field(default_factory=list)


def read_tree(root: Path) -> Tree:
    """Return what counts as data below `root`, which is resolved; say what was left out.

    Raises `DataError` for a link that leads out, a folder that cannot be read, and folders that never end.
    """
    left = Left()
    tree = read_below(root, root, left)
    if left.hidden:
        names = some(sorted(shown(name) for name in left.hidden))
        notice(f"{shown(root)}: left out the pictures in {names}, which are hidden or a system's own")
    if left.loops:
        notice(f"{shown(root)}: left out links to folders in a circle, or behind other links: {some(left.loops)}")
    return tree


def read_below(folder: Path, root: Path, left: Left, depth: int = 0, linked: bool = False) -> Tree:
    """Return the tree of one folder. In a folder that was reached by a link, links to folders are not followed."""
    if depth > DEEPEST:
        raise DataError(
            f"{shown(folder)} lies {depth} folders deep; a data set has its pictures two or three folders deep: "
            "give the folder that holds them"
        )
    tree = Tree(folder)
    for entry in entries(folder):
        path = folder / entry.name
        if is_systems_own(entry.name):
            if entry.is_dir(follow_symlinks=False) and holds_pictures(path):
                left.hidden.add(entry.name)
            continue
        link = entry.is_symlink()
        if link:
            check_inside(path, root)
        if not is_folder(entry):
            (tree.pictures if path.suffix.lower() in SUFFIXES else tree.others).append(path)
        elif link and (linked or leads_back(path)):
            left.loops.append(shown(path.relative_to(root)))
        else:
            tree.folders[entry.name] = read_below(path, root, left, depth + 1, linked or link)
    return tree


def entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return what is in a folder, by name. Raises `DataError` where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{shown(folder)} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Say whether something in a folder is a folder, or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_systems_own(name: str) -> bool:
    """Say whether a name is hidden, or one that a system and not a user gives: __MACOSX, @eaDir, Thumbs.db, ..."""
    return bool(BEGINNING.match(name)) or name.lower() in SYSTEMS_OWN


def holds_pictures(folder: Path) -> bool:
    """Say whether a picture that shows lies in a folder or below it; what cannot be read holds none."""
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(Path(name).suffix.lower() in SUFFIXES and not is_systems_own(name) for name in names)


def check_inside(link: Path, root: Path) -> None:
    """Refuse a link that leads out of the data folder."""
    target = Path(os.path.realpath(link))
    if not target.is_relative_to(root):
        raise DataError(
            f"{shown(link)} is a link to {shown(target)}, which lies outside of {shown(root)} and is not read; "
            f"put copies in place of the links (cp -rL), or give the folder that holds both"
        )


def leads_back(link: Path) -> bool:
    """Say whether a link to a folder leads to one that the link lies in."""
    return Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link))
