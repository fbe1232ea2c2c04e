"""The teacher that several lessons share: that of lesson 10, or else one that is trained once for all lessons."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from minikd.api import save, train, views_for
from minikd.console.notices import notice
from minikd.data import Dataset, load_dataset
from minikd.errors import CheckpointError
from minikd.lessons.lesson import Lesson
from minikd.models import cnn
from minikd.nn import Sequential
from minikd.training import Plan
from minikd.training.identity import identity_of
from minikd.weights import load_model

NAME = "teacher.safetensors"
"""The file that lesson 10 writes to its output folder."""

PLAN = Plan(epochs=2, batch_size=128, learning_rate=2e-3)
"""The training of the teacher if there is none from lesson 10."""

QUICK = replace(PLAN, epochs=1, batch_size=32)
"""The same with --quick, on this many images:"""

FEW = 1_000


def teacher_of(lesson: Lesson) -> Sequential:
    """Return a CNN that has learned MNIST, float32, for images normalised as the training images are.

    It is that of lesson 10, from the lesson's output folder. If there is none, one is trained for two epochs (half a
    minute on two cores), with a bar, and kept in the user's cache for all lessons. With --quick, one is always trained
    on 1,000 images, which takes a second. A printed line says which teacher it is.
    """
    if not lesson.quick and (model := loaded(lesson.output / NAME)):
        print("teacher: lesson 10's")
        return model
    digits = load_dataset("mnist")
    teacher = cnn(digits.image_shape, digits.classes, np.random.default_rng(10))
    if lesson.quick:
        print(f"teacher: --quick, so one is trained here on {FEW:,} images")
        few = replace(digits, train_images=digits.train_images[:FEW], train_labels=digits.train_labels[:FEW])
        train(teacher, few, QUICK)
        return teacher
    path = cache_folder() / f"teacher-{identity(teacher, digits)}.safetensors"
    if model := loaded(path):
        print("teacher: there is none from lesson 10, so this is the one that an earlier lesson trained")
        return model
    print(f"teacher: there is none from lesson 10, so one is trained here on {len(digits.train_images):,} images")
    train(teacher, digits, PLAN)
    cache_teacher(path, teacher, digits)
    return teacher


def cache_folder() -> Path:
    """Return the folder for files that lessons share, in the user's cache."""
    import pooch

    return Path(pooch.os_cache("minikd")) / "lessons"


def identity(teacher: Sequential, digits: Dataset) -> str:
    """Return a digest of all that determines the teacher: network, first weights, images, labels and plan."""
    text = identity_of("teacher", teacher, views_for(teacher, digits, None, PLAN.seed), asdict(PLAN), {})
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def loaded(path: Path) -> Sequential | None:
    """Return the model in a file, or None if there is no file. A damaged file gives a notice and None."""
    if not path.exists():
        return None
    try:
        return load_model(path, "float32")[0]
    except CheckpointError as error:
        notice(f"{error}. Another teacher is used instead")
        return None


def cache_teacher(path: Path, teacher: Sequential, digits: Dataset) -> None:
    """Write the teacher to the cache. If this fails, give a notice that it will be trained again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, teacher, digits)
    except (OSError, CheckpointError) as error:
        notice(f"the teacher could not be saved ({error}): the next lesson trains one again")
