"""The package in five verbs: load a data set, train a model, distil one into another, evaluate, save and load."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minikd import metrics
from minikd.backend import module_of
from minikd.data import Augmentation, Dataset, Views, mean_and_std
from minikd.distillation.objectives import distillation_objective, label_objective
from minikd.distillation.teacher import teacher_logits
from minikd.errors import ShapeError
from minikd.nn import Sequential
from minikd.parallel import Map, workers
from minikd.training import Plan, Watcher, fit, logits_of
from minikd.weights import Card, save_model


@dataclass(frozen=True)
class Scores:
    """A model's answers on a test set: wrong ones, the share of right ones, likelihood, calibration error."""

    errors: int
    accuracy: float
    nll: float
    ece: float


def train(
    model: Sequential,
    data: Dataset,
    plan: Plan | None = None,
    augmentation: Augmentation | None = None,
    watcher: Watcher | None = None,
) -> None:
    """Train `model` in place on the labels of the training images.

    The plan's default is five epochs of Adam; `watcher=minikd.Bars()` shows progress. Raises ShapeError where the model
    does not turn the data's images into its classes, and Diverged.
    """
    plan = plan or Plan()
    views = views_for(model, data, augmentation, plan.seed)
    fit(model, views, label_objective(), plan, name="model", watcher=watcher)


def distill(
    teacher: Sequential,
    student: Sequential,
    data: Dataset,
    plan: Plan | None = None,
    temperature: float = 4.0,
    alpha: float = 0.9,
    augmentation: Augmentation | None = None,
    watcher: Watcher | None = None,
) -> None:
    """Train `student` in place on the teacher's soft targets and the labels (Hinton, Vinyals & Dean 2015).

    The teacher sees the very views that the student sees, in evaluation mode. Raises as `train`.
    """
    check_outputs(teacher, data)
    plan = plan or Plan()
    views = views_for(student, data, augmentation, plan.seed)
    with threads_for(teacher) as map_:
        soft = teacher_logits(teacher, views, map_)
    objective = distillation_objective(soft, temperature, alpha)
    fit(student, views, objective, plan, name="student", watcher=watcher)


def evaluate(model: Sequential, data: Dataset) -> Scores:
    """Return what the model is worth on the test images, prepared as the training images were."""
    train = views_for(model, data)
    test = replace(train, images=data.test_images, labels=data.test_labels)
    with threads_for(model) as map_:
        logits = logits_of(model, test, map_)
    labels = data.test_labels
    return Scores(
        metrics.errors(logits, labels),
        metrics.accuracy(logits, labels),
        metrics.nll(logits, labels),
        metrics.ece(logits, labels),
    )


def save(path: str | Path, model: Sequential, data: Dataset) -> None:
    """Write the model, and how to prepare images for it, as one .safetensors file; read it with `load_model`."""
    mean, std = mean_and_std(data.train_images)
    name = Path(path).stem
    save_model(Path(path), model, Card(name, data.image_shape, mean, std, data.class_names))


def threads_for(model: Sequential) -> AbstractContextManager[Map]:
    """Return `workers`: all cores, or one thread where a device does the work."""
    return workers(None if module_of(model.vector) is np else 1)


def views_for(model: Sequential, data: Dataset, augmentation: Augmentation | None = None, seed: int = 0) -> Views:
    """Return the training views in the model's dtype, once it is clear that the model fits the data."""
    check_outputs(model, data)
    mean, std = mean_and_std(data.train_images)
    dtype = model.vector.dtype.type
    return Views(data.train_images, data.train_labels, mean, std, augmentation, seed, dtype)


def check_outputs(model: Sequential, data: Dataset) -> None:
    """Refuse a model that does not turn the data's images into one logit for each class."""
    found = model.output_shape(data.image_shape)
    if found != (data.classes,):
        raise ShapeError(
            f"the model turns images {data.image_shape} into {found}, but {data.name} has {data.classes} classes and "
            f"needs ({data.classes},); end it with Linear(..., {data.classes}, rng)"
        )
