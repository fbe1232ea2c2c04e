"""Training images in many editions: each varied so many times, once and for all, and kept in a file.

A student that is shown new variations in every epoch pays for the warping and for the teacher's look at each of them,
again and again for every seed and setting. Editions are paid for once: thirty of MNIST's 55,000 images are 1.65 million
images, which no student learns by heart, and on them a teacher's answers can be kept. The first edition is the images
as they are.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from minikd.console.notices import notice
from minikd.data import Augmentation
from minikd.data.augment import augment
from minikd.distillation.job import Job
from minikd.distillation.prepare import Data
from minikd.errors import CheckpointError
from minikd.storage import checksums
from minikd.storage.tensors import map_images, write_tensors
from minikd.typing import Pixels

ROWS = 5000
"""Images varied at a time: floats take four times the memory of pixels."""


def same_images(job: Job) -> None:
    """Let a job hold out the images of seed 0, whatever its seed: several seeds' teachers teach together then.

    A teacher of another seed would have learned from images that the student holds out.
    """
    data, seed = Data.of(replace(job.recipe, seed=0)), job.recipe.seed
    train, transfer = replace(data.train, seed=seed), replace(data.transfer, seed=seed)
    job.data = replace(data, train=train, transfer=transfer)


def in_editions(count: int, augmentation: Augmentation, job: Job) -> None:
    """Let a job's students learn from so many editions of the training images; see `same_images` for which these are.

    The file lies in the experiment's folder, two levels above the job's.
    """
    same_images(job)
    views = job.data.train
    images = editions(job.folder.parent.parent / f"editions-{count}.safetensors", views.images, count, augmentation)
    many = replace(views, images=images, labels=np.tile(views.labels, count))
    job.data = replace(job.data, train=many, transfer=many, labelled=len(many))


def editions(path: Path, images: Pixels, count: int, augmentation: Augmentation) -> Pixels:
    """Return the images `count` times, (count·N, C, H, W) in their dtype, from the file, else made and left there.

    All who learn from the file share its memory. One that is damaged, or of other images, is made anew.
    """
    what = f"{count} by {augmentation} of {checksums.of_tensors({'images': images}, {})}"
    if (found := kept(path, what)) is not None:
        return found
    made = np.concatenate([images, *(varied(images, augmentation, number) for number in range(1, count))])
    write_tensors(path, {"images": made}, {"minikd-editions": what})
    del made  # its memory is free before the file's is looked at
    found = kept(path, what)
    assert found is not None
    return found


def kept(path: Path, what: str) -> Pixels | None:
    """Return the images in the file; None where it is not there, is damaged or holds something else than `what`."""
    if not path.exists():
        return None
    try:
        found, metadata = map_images(path, "it is made anew")
    except CheckpointError as error:
        notice(str(error))
        return None
    return found if metadata.get("minikd-editions") == what else None


def varied(images: Pixels, augmentation: Augmentation, number: int) -> Pixels:
    """Return one edition of the images: each varied by its number and the edition's, whatever the seed."""
    made = np.empty_like(images)
    for start in range(0, len(images), ROWS):
        index = np.arange(start, min(start + ROWS, len(images)))
        views = augment(images[index], augmentation, 0, number, index)
        made[index] = views.round() if images.dtype == np.uint8 else views
    return made
