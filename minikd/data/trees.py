"""A folder and all data below it.

Hidden folders and system folders below the data folder are left out. They hold copies of pictures, which would be
counted twice and leak from the training into the test part. No link may lead out of the data folder.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minikd.console.notices import notice
from minikd.data.shown import first_names, shown
from minikd.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jfif", ".jpe")
"""Suffixes of the files that are read as pictures, in upper or lower case."""

DEEPEST = 32
"""Maximum depth of nested folders; a data set has two or three."""

SYSTEMS_OWN = frozenset(
    (
        *("system volume information", "recycler", "recycled", "msocache", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("lost+found", "lost.dir", "#recycle", "#snapshot", "~snapshot", "_gsdata_", "wpsystem", "cvs"),
        *("network trash folder", "temporary items", "thevolumesettingsfolder", "resource.frk", "icon\r"),
    )
)
"""Names that Windows, Android, macOS, file servers and editors leave in folders, in addition to the next pattern."""

BEGINNING = re.compile(r"[.]|:2e|__|@[a-z_]|\$[a-z]|_vti_|found\.\d", re.IGNORECASE)
"""How hidden names and names of systems begin: .git, __MACOSX, @eaDir, $RECYCLE.BIN, found.000, ..."""


@dataclass(frozen=True)
class Tree:
    """A folder: its folders by name, its pictures, and its other files."""

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
        """Return the folders in this folder that have a picture in them or below them."""
        return {name: tree for name, tree in self.folders.items() if any(one.pictures for one in tree.walk())}


@dataclass
class LeftOut:
    """What was left out: names of hidden folders that hold pictures, and links to folders that were not followed."""

    hidden: set[str] = field(default_factory=set)
    loops: list[str] = field(default_factory=list)


def read_tree(root: Path) -> Tree:
    """Return the data below `root`, which is a resolved path. A notice says what was left out.

    Raises `DataError` for a link that leads out, a folder that cannot be read, and folders that never end.
    """
    left = LeftOut()
    tree = read_below(root, root, left)
    if left.hidden:
        names = first_names(sorted(shown(name) for name in left.hidden))
        notice(f"{shown(root)}: left out the pictures in {names}, which are hidden or system folders")
    if left.loops:
        notice(
            f"{shown(root)}: left out links to folders that form a circle, or are behind other links: "
            f"{first_names(left.loops)}"
        )
    return tree


def read_below(folder: Path, root: Path, left: LeftOut, depth: int = 0, linked: bool = False) -> Tree:
    """Return the tree of one folder. If the folder was reached by a link, links in it to folders are not followed."""
    if depth > DEEPEST:
        raise DataError(
            f"{shown(folder)} lies {depth} folders deep, but pictures must be two or three folders deep; give the "
            "folder that holds them"
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
        elif link and (linked or links_to_ancestor(path)):
            left.loops.append(shown(path.relative_to(root)))
        else:
            tree.folders[entry.name] = read_below(path, root, left, depth + 1, linked or link)
    return tree


def entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return a folder's entries, sorted by name. Raises `DataError` if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{shown(folder)} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Say whether an entry is a folder or a link to a folder. A link to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_systems_own(name: str) -> bool:
    """Say whether a name is hidden or given by a system, not by a user: __MACOSX, @eaDir, Thumbs.db, ..."""
    return bool(BEGINNING.match(name)) or name.lower() in SYSTEMS_OWN


def holds_pictures(folder: Path) -> bool:
    """Say whether a folder, or a folder below it, holds a visible picture. An unreadable folder counts as empty."""
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(Path(name).suffix.lower() in SUFFIXES and not is_systems_own(name) for name in names)


def check_inside(link: Path, root: Path) -> None:
    """Refuse a link that leads out of the data folder."""
    target = Path(os.path.realpath(link))
    if not target.is_relative_to(root):
        raise DataError(
            f"{shown(link)} is a link to {shown(target)}, which lies outside of {shown(root)} and is not read; "
            "replace the links by copies (cp -rL), or give the folder that holds both"
        )


def links_to_ancestor(link: Path) -> bool:
    """Say whether a link leads to a folder that contains the link."""
    return Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link))
