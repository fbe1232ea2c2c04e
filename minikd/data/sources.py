"""Loads a data set from a name or a path."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FunctionType

from minikd.console.notices import notice
from minikd.data.class_folders import read_class_folders
from minikd.data.dataset import Dataset
from minikd.data.downloads import REMOTES, fetch
from minikd.data.idx_folder import find_idx, named_set, only_set, read_idx_folder
from minikd.data.idx_names import NAMES_HELP
from minikd.data.layout import LAYOUTS_HELP
from minikd.data.location import checked_size, located
from minikd.data.npz import read_npz
from minikd.data.pictures import resized
from minikd.data.room import require_room, tell_large
from minikd.data.shown import shown
from minikd.data.trees import Tree, read_tree
from minikd.errors import DataError, MinikdError
from minikd.outside import ObjectKind, absolute, find, is_spec, raised

MNIST_FOLDER = Path(__file__).parent / "mnist"
DIGITS = tuple("0123456789")
NAMES = ("mnist", *REMOTES)


def load_dataset(source: str | Path, image_size: tuple[int, int] | None = None) -> Dataset:
    """Return the data set of a name in `NAMES` or at a path, its images stretched to `image_size` (height, width).

    "mnist" is in the package; "fashion-mnist" and "kmnist" are downloaded once into the user's cache. A path is an .npz
    file (`read_npz`), a folder of IDX files in it or below it (`read_idx_folder`), or a folder of class folders with
    pictures (`read_class_folders`). If a folder holds several sets of IDX files, FOLDER/emnist-letters names one.
    FILE.py:NAME is a function of yours that returns a `Dataset`. If the current folder has a folder with the name of a
    data set, write ./mnist for the folder. A notice reports each decision that was made without asking.

    Raises `DataError` if the source is none of these or its data cannot be used, `ConfigError` if a Python file cannot
    be run, and `SizeError` if the data do not fit into memory.
    """
    image_size = checked_size(image_size)
    dataset = read_source(source, image_size)
    if image_size and dataset.image_shape[1:] != image_size:
        dataset = stretched_to(dataset, image_size)
    tell_large(dataset.image_shape, dataset.name)
    return dataset


def stretched_to(dataset: Dataset, size: tuple[int, int]) -> Dataset:
    """Return the data set with its images stretched to `size` (height, width)."""
    train, test = dataset.train_images, dataset.test_images
    require_room(len(train) + len(test), (train.shape[1], *size), train.itemsize, dataset.name)
    return replace(dataset, train_images=resized(train, size), test_images=resized(test, size))


def read_source(source: str | Path, image_size: tuple[int, int] | None) -> Dataset:
    """Return the data set unchanged. Only pictures in class folders are resized, because their sizes may differ."""
    if isinstance(source, str) and is_spec(source):
        return read_by_function(source)
    if source == "mnist":
        return read_idx_folder(MNIST_FOLDER, "mnist", DIGITS)
    if isinstance(source, str) and source in REMOTES:
        remote = REMOTES[source]
        return read_idx_folder(fetch(remote), remote.name, remote.class_names)
    path, kind = located(source)
    if kind == "folder":
        return read_folder(path.resolve(), image_size)
    if kind == "file" and path.suffix.lower() == ".npz":
        return read_npz(path)
    if kind == "file":
        raise DataError(
            f"{path} is a {path.suffix or 'nameless kind of'} file; give an .npz file, a folder of IDX files or a "
            "folder of class folders"
        )
    if named := named_set(path):
        return read_idx_folder(named[0], path.name, chosen=named[1])
    raise DataError(
        f"no data set {str(source)!r}: there is no file or folder {path.absolute()}, and the names known are "
        f"{', '.join(NAMES)}; check the spelling"
    )


def is_data(key: str, value: object, names: Mapping[str, object]) -> bool:
    """Return whether a name in a file is a data set, or a function of this file that may return one."""
    own = isinstance(value, FunctionType) and value.__module__ == names["__name__"]
    return isinstance(value, Dataset) or own


DATA = ObjectKind("which function returns the data set", "no function and no Dataset", "my_data.py:load", is_data)
"""What `--data` looks for in a Python file."""


def read_by_function(spec: str) -> Dataset:
    """Return the data set that a user's function (FILE.py:NAME, without arguments) returns.

    `Dataset` checks itself when it is created. Raises DataError, with the file's line, if the function fails.
    """
    found = find(absolute(spec), DATA)
    try:
        made = found.thing() if isinstance(found.thing, FunctionType) else found.thing
    except MinikdError as error:
        raise DataError(f"{found.where}: {error}") from error
    except Exception as error:
        raise DataError(f"{found.where} raised {raised(error)}; it is called without arguments") from error
    if not isinstance(made, Dataset):
        raise DataError(
            f"{found.where} gave {'nothing' if made is None else f'a {type(made).__name__}'}, but must be a function "
            "that returns a minikd.Dataset(name, train_images, train_labels, test_images, test_labels, class_names)"
        )
    return made


def read_folder(folder: Path, image_size: tuple[int, int] | None) -> Dataset:
    """Return the data set of a folder. The kind follows from the folder's contents."""
    found = find_idx(folder)
    if found:
        place, chosen = only_set(found, folder)
        if place != folder:
            notice(f"{shown(place)} is read, because it has the IDX files of {shown(folder)} lie")
        return read_idx_folder(place, place.parent.name if place.name == "raw" else place.name, chosen=chosen)
    tree = read_tree(folder)
    if tree.folders:
        return read_class_folders(tree, image_size)
    raise DataError(f"{shown(folder)} {missing_data_text(tree)}")


def missing_data_text(tree: Tree) -> str:
    """Say what a folder without a data set holds, and what to do."""
    packed = [path for path in tree.others if path.suffix.lower() == ".npz"]
    if packed:
        return f"is a folder with an .npz file; give the file: {shown(packed[0])}"
    if tree.pictures:
        return (
            f"holds {len(tree.pictures):,} pictures and no class folders, so nothing tells their classes; the layouts "
            f"are {LAYOUTS_HELP}. Pictures without labels are for --unlabelled"
        )
    return (
        f"holds neither IDX files nor class folders; IDX files are named {NAMES_HELP}, and class folders lie as "
        f"{LAYOUTS_HELP}"
    )
