"""The networks of a recipe: the given teachers, and every network that is trained, with its first weights."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minikd import memory, models
from minikd.data import Dataset, Views
from minikd.distillation.class_names import match
from minikd.distillation.prepare import Data, check_fits
from minikd.distillation.recipe import Recipe
from minikd.errors import CheckpointError, ConfigError, ShapeError
from minikd.methods import Pair
from minikd.methods.layers import shapes
from minikd.nn import BatchNorm1d, Sequential
from minikd.nn.folding import folded
from minikd.nn.reordering import reordered
from minikd.training.inference import try_out
from minikd.weights import Card, load_model

TEACHER, STUDENT, EXTRA, ASSISTANT, GENERATION = (2**20 + number for number in range(1, 6))
"""Purposes that are combined with the seed to draw initial weights.

The shuffles use the number of the epoch as their purpose, so these numbers are larger than any epoch.
"""

APART = 0.01
"""The largest allowed difference between two teachers' normalisations, as a fraction of the pixels' standard deviation.

Two choices of held-out images from the same data set differ by less.
"""


class LoadedModel(NamedTuple):
    """A model from a weights file, and the file's path."""

    model: Sequential
    card: Card
    path: str


def given_teachers(recipe: Recipe) -> list[LoadedModel]:
    """Return the teachers whose weights files the recipe names: the teacher, if given, and others of its ensemble."""
    first = [recipe.teacher.weights] if recipe.teacher.weights else []
    return [LoadedModel(*load_model(Path(path), "float32"), path) for path in (*first, *recipe.distillation.ensemble)]


Prepared = tuple[Data, list[LoadedModel]]
"""A recipe's data, and the teachers that it gives."""


def prepared(recipe: Recipe) -> Prepared:
    """Return a recipe's data and the teachers that it gives, each with its outputs in the order of the data's classes.

    Raises CheckpointError for teachers of other images or classes, Diverged if a teacher's outputs are NaN or infinite,
    and the errors of loading the data.
    """
    for hidden in (recipe.student.hidden, recipe.distillation.assistant):
        check_size(hidden)
    given = given_teachers(recipe)
    data = Data.of(recipe, given[0].card if recipe.teacher.weights else None)
    given = [in_order(one, data.dataset) for one in given]
    for one in given:
        try_out(one.model, data.train, one.path)
    return data, given


def check_size(hidden: tuple[int, ...]) -> None:
    """Refuse hidden layers that do not fit into memory, before the data are read, which may take minutes.

    Raises SizeError.
    """
    weights = sum((inputs + 1) * outputs for inputs, outputs in pairwise((1, *hidden)))
    units = ", ".join(f"{size:,}" for size in hidden)
    memory.require(4 * weights, f"a network with hidden layers of {units} units", "give fewer units")


def in_order(given: LoadedModel, dataset: Dataset) -> LoadedModel:
    """Return a given model with its outputs in the order of the data's classes, matched by name."""
    model, card, path = given
    check_fits(card, dataset, path)
    order = match(card.class_names, dataset.class_names, path, dataset.name)
    return LoadedModel(reordered(model, order), replace(card, class_names=dataset.class_names), path)


def first_teacher(recipe: Recipe, dataset: Dataset) -> Sequential:
    """Return the teacher before training."""
    rng = np.random.default_rng((recipe.seed, TEACHER))
    image, how = dataset.image_shape, recipe.teacher
    model = models.teacher(how.model, image, dataset.classes, rng, how.dropout)
    check_step(model, dataset, how.batch_size, "teacher")
    return model


def first_student(recipe: Recipe, dataset: Dataset) -> Sequential:
    """Return the students before training."""
    return student(recipe, dataset, STUDENT)


def student(recipe: Recipe, dataset: Dataset, *what: int) -> Sequential:
    """Return a network of the student's kind before training. Its weights are drawn from the seed and its purpose."""
    if recipe.student.model == "mlp":
        return feed_forward(recipe, dataset, recipe.student.hidden, *what)
    if recipe.student.norm != "none":
        raise ConfigError("student.norm is 'batch', but the small CNN has no norm; leave --student-norm out")
    rng = np.random.default_rng((recipe.seed, *what))
    with fitting_student(recipe, dataset, "--student-channels, --student-pool"):
        how = recipe.student
        model = models.small_cnn(dataset.image_shape, how.channels, dataset.classes, rng, how.pool)
    check_step(model, dataset, recipe.student.batch_size, "student")
    return model


def feed_forward(recipe: Recipe, dataset: Dataset, hidden: tuple[int, ...], *what: int) -> Sequential:
    """Return a feed-forward network before training. Its weights are drawn from the recipe's seed and its purpose."""
    rng = np.random.default_rng((recipe.seed, *what))
    with fitting_student(recipe, dataset, "--student-pool"):
        how = recipe.student
        model = models.mlp(dataset.image_shape, hidden, dataset.classes, rng, how.norm == "batch", how.pool)
    check_step(model, dataset, recipe.student.batch_size, "student")
    return model


@contextmanager
def fitting_student(recipe: Recipe, dataset: Dataset, flags: str) -> Iterator[None]:
    """If images are too small for the student's poolings, let the error name the student and its flags."""
    try:
        yield
    except ShapeError as error:
        size = "x".join(map(str, dataset.image_shape[1:]))
        raise ShapeError(f"the student cannot take images of {size}: {error} ({flags})") from error


def check_step(model: Sequential, dataset: Dataset, batch_size: int, role: str) -> None:
    """Refuse a network whose step does not fit into memory.

    A step keeps the outputs of all layers for the backward pass.
    """
    images = min(batch_size, len(dataset.train_labels))
    values = sum(math.prod(shape) for shape in shapes(model, dataset.image_shape).values())
    size = "x".join(map(str, dataset.image_shape[1:]))
    memory.require(
        images * values * model.vector.itemsize,
        f"the outputs of a {role}'s layers for a batch of {images} images of {size}",
        f"make the images smaller with --image-size, or the batch with --{role}-batch-size",
    )


def distilled_networks(recipe: Recipe, dataset: Dataset) -> dict[str, Sequential]:
    """Return the networks that are distilled, before training, in order. Each teaches the next one; the last is the
    student.

    A teacher assistant is a network between the two in size (Mirzadeh et al. 2020, Improved knowledge distillation via
    teacher assistant). Generations are students of one size, each a fresh start (Furlanello et al. 2018, Born-again
    neural networks).
    """
    found = {}
    if hidden := recipe.distillation.assistant:
        found["assistant"] = feed_forward(recipe, dataset, hidden, ASSISTANT)
    for number in range(1, recipe.distillation.generations):
        found[f"generation_{number}"] = student(recipe, dataset, GENERATION, number)
    return found | {"student_distilled": first_student(recipe, dataset)}


def pairs(recipe: Recipe, data: Data, given: Sequence[LoadedModel]) -> list[Pair]:
    """Return each network to distill with its teachers, in order.

    Raises CheckpointError for different normalisations.
    """
    for one in given:
        check_prepared(one, data.train)
    own = [] if recipe.teacher.weights else [first_teacher(recipe, data.dataset)]
    teachers: Sequence[Sequential] = [*own, *(one.model for one in given)]
    found = []
    for student in distilled_networks(recipe, data.dataset).values():
        found.append(Pair(student, teachers, data.dataset.image_shape, data.all_labelled))
        teachers = (folded(student),)  # with the class names that it has as a teacher
    return found


def check_prepared(given: LoadedModel, views: Views) -> None:
    """Refuse a teacher of an ensemble whose pixels are normalised differently from this run's."""
    mean, std = given.card.mean, given.card.std
    wanted, ours = np.array([mean, std]), np.array([views.mean, views.std])
    if (abs(wanted - ours) > APART * ours[1]).any():
        raise CheckpointError(
            f"{given.path} takes pixels of mean {mean} and deviation {std}, but this run's have {views.mean} and "
            f"{views.std}; the teachers of an ensemble must be trained on one data set"
        )


def check_batches(recipe: Recipe, data: Data, student: Sequential) -> None:
    """Refuse a last batch of one image for a student with batch norm, because the variance would be 0."""
    size, images = recipe.student.batch_size, len(data.transfer)
    if any(isinstance(layer, BatchNorm1d) for layer in student.layers) and (images - 1) % size == 0:
        raise ConfigError(
            f"student.norm is 'batch', but student.batch_size is {size}, so of {images} images a single one is left "
            "for the last batch, and batch norm needs two; choose another batch size"
        )
