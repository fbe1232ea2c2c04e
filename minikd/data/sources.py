"""From a name or a path to a data set."""

from dataclasses import replace
from pathlib import Path

from minikd.data.class_folders import LAYOUTS_HELP, read_class_folders, subfolders
from minikd.data.dataset import Dataset
from minikd.data.downloads import REMOTES, fetch
from minikd.data.idx_folder import NAMES_HELP, has_idx_files, read_idx_folder
from minikd.data.npz import read_npz
from minikd.data.pictures import resized
from minikd.errors import ConfigError, DataError

MNIST_FOLDER = Path(__file__).parent / "mnist"
DIGITS = tuple("0123456789")
NAMES = ("mnist", *REMOTES)


def load_dataset(source: str | Path, image_size: tuple[int, int] | None = None) -> Dataset:
    """Return the data set of a name in `NAMES` or at a path, its images stretched to `image_size` (height, width).

    "mnist" comes with the package; "fashion-mnist" and "kmnist" are downloaded once into the user's cache. A path is
    an .npz file (`read_npz`), a folder of IDX files (`read_idx_folder`) or a folder of class folders with pictures
    (`read_class_folders`). A name wins over a folder of that name here: write ./mnist for the folder. Raises
    `DataError` where the source is none of these or its data cannot be used.
    """
    if image_size is not None and min(image_size) < 1:
        raise ConfigError(f"image size is {image_size[0]}x{image_size[1]}, but both sides must be at least 1 pixel")
    dataset = read_source(source, image_size)
    if image_size is None or dataset.image_shape[1:] == tuple(image_size):
        return dataset
    return replace(
        dataset,
        train_images=resized(dataset.train_images, image_size),
        test_images=resized(dataset.test_images, image_size),
    )


def read_source(source: str | Path, image_size: tuple[int, int] | None) -> Dataset:
    """Return the data set as it is; only pictures in class folders, which may differ in size, are resized already."""
    if source == "mnist":
        return read_idx_folder(MNIST_FOLDER, "mnist", DIGITS)
    if isinstance(source, str) and source in REMOTES:
        remote = REMOTES[source]
        return read_idx_folder(fetch(remote), remote.name, remote.class_names)
    path = Path(source).expanduser()
    if path.is_dir():
        return read_folder(path.resolve(), image_size)
    if path.is_file() and path.suffix.lower() == ".npz":
        return read_npz(path)
    if path.is_file():
        raise DataError(
            f"{path} is a {path.suffix or 'nameless kind of'} file; give an .npz file, a folder of IDX files or a "
            "folder of class folders"
        )
    raise DataError(
        f"no data set {str(source)!r}: there is no file or folder {path.absolute()}, and the names known are "
        f"{', '.join(NAMES)}; check the spelling"
    )


def read_folder(folder: Path, image_size: tuple[int, int] | None) -> Dataset:
    """Return the data set of a folder, whose content tells its kind."""
    if has_idx_files(folder):
        return read_idx_folder(folder, folder.name)
    if subfolders(folder):
        return read_class_folders(folder, image_size)
    raise DataError(
        f"{folder} holds neither IDX files nor class folders; IDX files are named {NAMES_HELP}, "
        f"and class folders lie as {LAYOUTS_HELP}"
    )
