"""Images without labels: from any data set, or from a source without labels."""

from pathlib import Path

from minikd.console.notices import notice
from minikd.data.assembly import channels_second
from minikd.data.dataset import Raw, checked_images
from minikd.data.emnist import tell_upright, upright
from minikd.data.idx import read_idx
from minikd.data.idx_folder import find_idx, idx_sets, named_set, only_set
from minikd.data.idx_names import NAMES_HELP, parse
from minikd.data.location import checked_size, located
from minikd.data.npz import TRAIN_KEYS
from minikd.data.npz_file import NpzArrays, opened_npz, read_npy
from minikd.data.picture_set import read_pictures
from minikd.data.pictures import resized
from minikd.data.room import require_room, tell_large
from minikd.data.shown import first_names, shown
from minikd.data.sources import NAMES, load_dataset
from minikd.data.split_names import parts_among
from minikd.data.trees import Tree, read_tree
from minikd.errors import DataError
from minikd.outside import is_spec
from minikd.typing import Pixels

IMAGE_KEYS = (*(images for images, _ in TRAIN_KEYS), "unlabelled", "unlabeled", "x", "data")
"""Names of images in an .npz file. If only one array has three or four axes, it may have any name."""


def load_images(source: str | Path, image_size: tuple[int, int] | None = None) -> Pixels:
    """Return the images of a source as (N, C, H, W), uint8 or float32, stretched to `image_size` (height, width).

    The source may be anything that `load_dataset` takes, and also images without labels: a folder with pictures in it
    or below it, a file of IDX images, or an .npz or .npy file with only images. Labels are ignored. If a data set has a
    test part, only the training images are returned, else all images. Raises `DataError` and `SizeError` like
    `load_dataset`.
    """
    image_size = checked_size(image_size)
    images = read_images(source, image_size)
    if image_size and images.shape[2:] != image_size:
        require_room(len(images), (images.shape[1], *image_size), images.itemsize, str(source))
        images = resized(images, image_size)
    tell_large(images.shape[1:], str(source))
    return images


def read_images(source: str | Path, image_size: tuple[int, int] | None) -> Pixels:
    """Return the images unchanged. Only pictures are resized, because their sizes may differ."""
    if isinstance(source, str) and (source in NAMES or is_spec(source)):
        return load_dataset(source).train_images
    path, kind = located(source)
    where = shown(path)
    if kind == "folder":
        return read_folder(path.resolve(), image_size)
    if kind == "nothing" and (named := named_set(path)):
        return set_images(*named)
    if kind == "nothing":
        raise DataError(
            f"no images {where!r}: there is no file or folder {path.absolute()}, and the names known are "
            f"{', '.join(NAMES)}; check the spelling"
        )
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with opened_npz(path) as arrays:
            raw = arrays.read(images_in(arrays, where))
    elif suffix == ".npy":
        raw = read_npy(path)
    elif parse(path.name):
        raw = images_of(path)
    else:
        raise DataError(
            f"{where} is a {suffix or 'nameless kind of'} file; give a folder of pictures, an .npz or .npy file, or "
            f"IDX files, named {NAMES_HELP}"
        )
    return checked_images(channels_second(raw, where), where)


def images_in(arrays: NpzArrays, where: str) -> str:
    """Return the name of the images in an .npz file."""
    known = [name for key in IMAGE_KEYS if (name := arrays.named(key))]
    stacks = [name for name in arrays.names if len(arrays.header(name).shape) in (3, 4)]
    found = [name for name in known if name in stacks][:1] or (stacks if len(stacks) == 1 else [])
    if not found:
        raise DataError(
            f"{where} holds {arrays.listed()}, and it is not clear which are the images; name them images, of shape "
            "(N, H, W), "
            "(N, H, W, C) or (N, C, H, W)"
        )
    return found[0]


def images_of(path: Path) -> Raw:
    """Return the images in an IDX file, upright. A notice says if they were turned."""
    images, said = read_idx(path), parse(path.name)
    if said is None or not said.set.startswith("emnist"):
        return images
    tell_upright(said.set, shown(path))
    return upright(images)


def read_folder(folder: Path, image_size: tuple[int, int] | None) -> Pixels:
    """Return the images of a folder: those in IDX files, else the pictures in it and below it."""
    found = find_idx(folder)
    if found:
        return set_images(*only_set(found, folder))
    pictures, apart = training_pictures(read_tree(folder))
    if apart:
        left = first_names([shown(path.relative_to(folder)) for path in apart])
        notice(f"{shown(folder)}: {left} left out of the images without labels")
    if not pictures:
        raise DataError(f"{shown(folder)} holds no pictures and no IDX files; give a folder that does")
    return read_pictures(shown(folder), pictures, image_size)


def set_images(folder: Path, chosen: str) -> Pixels:
    """Return the training images of a set of IDX files in a folder, or its test images if there are no others."""
    files = idx_sets(folder, folder)[chosen]
    path = files.get(("train", "images")) or files.get(("test", "images"))
    if path is None:
        raise DataError(f"{shown(folder)} has IDX files, but none of images; the names are {NAMES_HELP}")
    return checked_images(channels_second(images_of(path), shown(path)), shown(path))


def training_pictures(tree: Tree) -> tuple[list[Path], list[Path]]:
    """Return the pictures in a folder and below it, and the folders that are left out.

    Pictures are in the order of their paths. If there is a training part, at any depth, the other parts next to it are
    left out.
    """
    roles = parts_among(list(tree.filled()))
    other = {name for name, role in roles.items() if role != "training" and "training" in roles.values()}
    pictures, apart = list(tree.pictures), [tree.folders[name].path for name in roles if name in other]
    for name, below in tree.folders.items():
        if name not in other:
            inner, left = training_pictures(below)
            pictures += inner
            apart += left
    return sorted(pictures), apart
