"""The teacher that several lessons share: lesson 10's where it has left one, else one that is trained once for all."""

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
"""What lesson 10 leaves in its output folder."""

PLAN = Plan(epochs=2, batch_size=128, learning_rate=2e-3)
"""How the teacher is trained where lesson 10 has left none."""

QUICK = replace(PLAN, epochs=1, batch_size=32)
"""The same with --quick, on this many images:"""

FEW = 1_000


def teacher_of(lesson: Lesson) -> Sequential:
    """Return a CNN that has learned MNIST, float32, for images normalised as the training images are.

    Lesson 10's, from the lesson's output folder. Where there is none, one that learns for two epochs (half a minute on
    two cores), with a bar; it is kept in the user's cache for all lessons. With --quick it is always one that has seen
    1,000 images for a second. A printed line says which.
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
        print("teacher: lesson 10 has left none, so it is the one that an earlier lesson trained")
        return model
    print(f"teacher: lesson 10 has left none, so one is trained here on {len(digits.train_images):,} images")
    train(teacher, digits, PLAN)
    keep(path, teacher, digits)
    return teacher


def cache_folder() -> Path:
    """Return the folder, in the user's cache, for what the lessons share."""
    import pooch

    return Path(pooch.os_cache("minikd")) / "lessons"


def identity(teacher: Sequential, digits: Dataset) -> str:
    """Return a digest of all that decides the trained teacher: network, first weights, images, labels and plan."""
    text = identity_of("teacher", teacher, views_for(teacher, digits, None, PLAN.seed), asdict(PLAN), {})
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def loaded(path: Path) -> Sequential | None:
    """Return the model in a file; None, with a notice, where the file is damaged, and None where there is none."""
    if not path.exists():
        return None
    try:
        return load_model(path, "float32")[0]
    except CheckpointError as error:
        notice(f"{error}. Another teacher is taken in its place")
        return None


def keep(path: Path, teacher: Sequential, digits: Dataset) -> None:
    """Write the teacher to the cache; where that is not possible, a notice says that it will be trained again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, teacher, digits)
    except (OSError, CheckpointError) as error:
        notice(f"the teacher could not be kept ({error}): the next lesson trains one again")
