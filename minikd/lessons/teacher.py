"""The teacher that several lessons share: lesson 10's where it has left one, else one trained right there."""

from dataclasses import replace

import numpy as np

from minikd.api import train
from minikd.data import load_dataset
from minikd.lessons.lesson import Lesson
from minikd.models import cnn
from minikd.nn import Sequential
from minikd.training import Plan
from minikd.weights import load_model

NAME = "teacher.safetensors"
"""What lesson 10 leaves in its output folder."""


def teacher_of(lesson: Lesson) -> Sequential:
    """Return a CNN that has learned MNIST, float32, for images normalised as the training images are.

    Lesson 10's, from the lesson's output folder; where there is none, one that learns for two epochs (half a minute on
    two cores). With --quick it is always one that has seen 1,000 images for a second. A printed line says which.
    """
    path = lesson.output / NAME
    if path.exists() and not lesson.quick:
        print("teacher: lesson 10's")
        return load_model(path, "float32")[0]
    images, epochs, batch = lesson.pick(full=(60_000, 2, 128), quick=(1_000, 1, 32))
    why = lesson.pick(full="lesson 10 has left none", quick="--quick")
    print(f"teacher: {why}, so one is trained here on {images:,} images")
    digits = load_dataset("mnist")
    few = replace(digits, train_images=digits.train_images[:images], train_labels=digits.train_labels[:images])
    teacher = cnn(digits.image_shape, digits.classes, np.random.default_rng(10))
    train(teacher, few, Plan(epochs=epochs, batch_size=batch, learning_rate=2e-3))
    return teacher
