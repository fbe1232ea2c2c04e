"""Data sets as a folder of IDX files under the names of MNIST, EMNIST and QMNIST."""

from collections.abc import Iterator
from pathlib import Path

from minikd.data.assembly import Part, assemble
from minikd.data.dataset import Dataset
from minikd.data.emnist import corrected_set
from minikd.data.idx import read_idx
from minikd.data.idx_names import NAMES_HELP, parse
from minikd.data.shown import first_names, shown
from minikd.data.trees import check_inside, entries, is_folder, is_systems_own
from minikd.errors import DataError

Files = dict[tuple[str, str], Path]
"""The files of a set by part ("train", "test") and kind ("images", "labels")."""

DEEPEST = 3
"""How many levels of folders below the given folder are searched for files: torchvision keeps them in MNIST/raw."""


def find_idx(root: Path, folder: Path | None = None, depth: int = 0) -> dict[Path, dict[str, Files]]:
    """Return the folders with IDX files, and the files of each by set.

    Folders below `root` are only searched if `root` has none.
    """
    folder = folder or root
    sets = idx_sets(folder, root)
    if sets:
        return {folder: sets}
    if depth == DEEPEST:
        return {}
    inner = [folder / one.name for one in entries(folder) if is_folder(one) and not is_systems_own(one.name)]
    return {
        place: sets
        for path in inner
        if path.resolve().is_relative_to(root)
        for place, sets in find_idx(root, path, depth + 1).items()
    }


def idx_sets(folder: Path, root: Path) -> dict[str, Files]:
    """Return the files in a folder by the set that their names state, "" if they state none.

    A folder with the name of a file that contains this file counts as the file. If both exist, the file counts. If a
    file exists both plain and gzipped, the plain file counts.
    """
    ranked: list[tuple[bool, bool, Path]] = []
    for entry in entries(folder):
        path = folder / entry.name
        if is_systems_own(entry.name) or not parse(entry.name):
            continue
        check_inside(path, root)
        if is_folder(entry):
            ranked += [(False, is_not_gzipped(inner), inner) for inner in files_named_like(path)]
        elif entry.is_file():
            ranked.append((True, is_not_gzipped(path), path))
    found: dict[str, Files] = {}
    for _, _, path in sorted(ranked):  # the better file comes later and replaces the other
        said = parse(path.name)
        if said:
            found.setdefault(said.set, {})[said.part, said.kind] = path
    return found


def files_named_like(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder whose names mean the same as the folder's name."""
    for entry in entries(folder):
        if entry.is_file(follow_symlinks=False) and parse(entry.name) == parse(folder.name):
            yield folder / entry.name


def is_not_gzipped(path: Path) -> bool:
    """Say whether a file's name is the name of a file that is not gzipped."""
    return path.suffix.lower() != ".gz"


def named_set(path: Path) -> tuple[Path, str] | None:
    """Return the folder and the name of the set that a path such as FOLDER/emnist-letters names; None if it names none.

    Nothing exists at the path itself.
    """
    folder, name = path.parent, path.name.lower()
    if name and folder.is_dir() and name in idx_sets(folder.resolve(), folder.resolve()):
        return folder.resolve(), name
    return None


def only_set(found: dict[Path, dict[str, Files]], root: Path) -> tuple[Path, str]:
    """Return the folder and the name of the only set. Raises `DataError` if there are several."""
    if len(found) > 1:
        places = [shown(place) for place in found]
        raise DataError(f"{shown(root)} holds {len(found)} data sets; give one of {first_names(places)}")
    folder, sets = next(iter(found.items()))
    if len(sets) > 1:
        places = [shown(folder / name) if name else "the files without a name before train and test" for name in sets]
        raise DataError(f"{shown(folder)} holds {len(sets)} data sets; give one of {first_names(places)}")
    return folder, next(iter(sets))


def read_idx_folder(folder: Path, name: str, class_names: tuple[str, ...] | None = None, chosen: str = "") -> Dataset:
    """Return the data set `chosen` of a folder with MNIST's file names, images and labels for training and test.

    Images are (N, H, W), or (N, H, W, C) or (N, C, H, W) in an idx4 file. Without test files, one sixth of the images
    becomes the test part (`assemble`). EMNIST's images are turned upright, and its letters are numbered from 0.
    """
    files = idx_sets(folder, folder)[chosen]
    wanted = {("train", "images"), ("train", "labels")}
    if any(part == "test" for part, _ in files):
        wanted |= {("test", "images"), ("test", "labels")}
    missing = sorted(f"{part} {kind}" for part, kind in wanted - set(files))
    if missing:
        raise DataError(
            f"{shown(folder)} has no file of {' and '.join(missing)} (found: "
            f"{', '.join(path.name for path in files.values())}); the names are {NAMES_HELP}"
        )
    read = {key: read_idx(path) for key, path in files.items()}
    train: Part = read["train", "images"], read["train", "labels"]
    test: Part | None = (read["test", "images"], read["test", "labels"]) if ("test", "images") in read else None
    if chosen:
        train, test, class_names = corrected_set(chosen, train, test, shown(folder))
    return assemble(chosen or name, train, test, class_names)
