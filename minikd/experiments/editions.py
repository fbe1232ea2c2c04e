"""Training images in many editions: each varied so many times, once and for all, and kept in a file.

A student that is shown new variations in every epoch pays for the warping and for the teacher's look at each of them,
again and again for every seed and setting. Editions are paid for once: thirty of MNIST's 55,000 images are 1.65 million
images, which no student learns by heart, and on them a teacher's answers can be kept. The first edition is the images
as they are.
"""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from minikd.data import Augmentation
from minikd.data.augment import augment
from minikd.distillation.job import Job
from minikd.distillation.prepare import Data
from minikd.files import write_atomically
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
    images = editions(job.folder.parent.parent / f"editions-{count}.npy", views.images, count, augmentation)
    many = replace(views, images=images, labels=np.tile(views.labels, count))
    job.data = replace(job.data, train=many, transfer=many, labelled=len(many))


def editions(path: Path, images: Pixels, count: int, augmentation: Augmentation) -> Pixels:
    """Return the images `count` times, (count·N, C, H, W) in their dtype, from the file, else made and left there."""
    if not path.exists():
        made = np.concatenate([images, *(varied(images, augmentation, number) for number in range(1, count))])
        buffer = io.BytesIO()
        np.save(buffer, made)
        write_atomically(path, buffer.getvalue())
    found: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)  # all who learn from it share the memory
    return found


def varied(images: Pixels, augmentation: Augmentation, number: int) -> Pixels:
    """Return one edition of the images: each varied by its number and the edition's, whatever the seed."""
    made = np.empty_like(images)
    for start in range(0, len(images), ROWS):
        index = np.arange(start, min(start + ROWS, len(images)))
        views = augment(images[index], augmentation, 0, number, index)
        made[index] = views.round() if images.dtype == np.uint8 else views
    return made
