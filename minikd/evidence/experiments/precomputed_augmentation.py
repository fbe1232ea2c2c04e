"""Augmented copies of the training images, computed once and stored in a file.

Augmentation in every epoch costs the warping and a forward pass of the teacher for each new image, for each seed and
setting. Precomputed copies are computed once, and the teacher's logits for them can be cached. Thirty copies of MNIST's
55,000 images are 1.65 million images, too many for a student to memorise. The first copy has no augmentation.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from minikd.console.notices import notice
from minikd.data import Augmentation
from minikd.data.augment import augment
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import Recipe
from minikd.errors import CheckpointError
from minikd.storage import checksums
from minikd.storage.tensors import map_images, write_tensors
from minikd.typing import Pixels

ROWS = 5000
"""Images augmented at a time, because floats take four times the memory of pixels."""


def same_images(data: Data, recipe: Recipe, folder: Path) -> Data:
    """Return data that hold out the images of seed 0, for every seed, because teachers of several seeds teach together.

    A teacher of another seed would otherwise have learned from images that the student holds out.
    """
    data = Data.of(replace(recipe, seed=0))
    train, transfer = replace(data.train, seed=recipe.seed), replace(data.transfer, seed=recipe.seed)
    return replace(data, train=train, transfer=transfer)


def precompute_augmentation(count: int, augmentation: Augmentation, data: Data, recipe: Recipe, folder: Path) -> Data:
    """Return data with `count` augmented copies of the training images of `same_images`.

    The copies are in a file in the experiment's folder.
    """
    data = same_images(data, recipe, folder)
    views = data.train
    images = augmented_copies(folder / f"editions-{count}.safetensors", views.images, count, augmentation)
    many = replace(views, images=images, labels=np.tile(views.labels, count))
    return replace(data, train=many, transfer=many, labelled=len(many))


def augmented_copies(path: Path, images: Pixels, count: int, augmentation: Augmentation) -> Pixels:
    """Return `count` copies of the images, (count·N, C, H, W) in their dtype.

    They are read from the file, or made and stored.

    All processes that read the file share its memory. If the file is damaged or holds other images, it is made again.
    """
    what = f"{count} by {augmentation} of {checksums.of_tensors({'images': images}, {})}"
    if (found := stored_images(path, what)) is not None:
        return found
    made = np.concatenate([images, *(varied(images, augmentation, number) for number in range(1, count))])
    write_tensors(path, {"images": made}, {"minikd-editions": what})
    del made  # frees its memory before the file is read
    found = stored_images(path, what)
    assert found is not None
    return found


def stored_images(path: Path, what: str) -> Pixels | None:
    """Return the images in the file; None if it is missing, is damaged or does not hold `what`."""
    if not path.exists():
        return None
    try:
        found, metadata = map_images(path, "it is computed again")
    except CheckpointError as error:
        notice(str(error))
        return None
    return found if metadata.get("minikd-editions") == what else None


def varied(images: Pixels, augmentation: Augmentation, number: int) -> Pixels:
    """Return one augmented copy. It depends on the numbers of image and copy, not on the seed."""
    made = np.empty_like(images)
    for start in range(0, len(images), ROWS):
        index = np.arange(start, min(start + ROWS, len(images)))
        views = augment(images[index], augmentation, 0, number, index)
        made[index] = views.round() if images.dtype == np.uint8 else views
    return made
