"""The package in five verbs: load a data set, train a model, distil one into another, evaluate, save and load."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minikd import metrics
from minikd.backend import module_of
from minikd.data import Augmentation, Dataset, Views, mean_and_std
from minikd.distillation.networks import OWN
from minikd.distillation.prepare import NO_LABEL
from minikd.distillation.teacher import answers
from minikd.errors import ShapeError
from minikd.inference import logits_of
from minikd.methods import Labels, Pair, Teacher, build, check
from minikd.nn import Sequential
from minikd.parallel import Map, workers
from minikd.training import Plan, Watcher, fit
from minikd.typing import Pixels
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
    fit(model, views, Labels(), plan, name="model", watcher=watcher)


def distill(
    teacher: Sequential | Sequence[Sequential],
    student: Sequential,
    data: Dataset,
    plan: Plan | None = None,
    method: str = "soft_targets",
    augmentation: Augmentation | None = None,
    watcher: Watcher | None = None,
    unlabelled: Pixels | None = None,
    **settings: object,
) -> None:
    """Train `student` in place on what the teacher knows, and on the labels.

    `method` names one of `minikd.METHODS`, and `settings` are the method's own, such as `temperature=4.0, alpha=0.9` of
    the default (Hinton, Vinyals & Dean 2015). The teacher sees the very views that the student sees, in evaluation
    mode; the probabilities of several teachers are averaged. `unlabelled` are more images to learn on, of the data's
    shape and dtype, for which the teacher alone has an answer. Raises as `train`, and ConfigError where the method
    cannot be used on what is given.
    """
    teachers = [teacher] if isinstance(teacher, Sequential) else [*teacher]
    for one in teachers:
        check_outputs(one, data)
    chosen, plan = build(method, settings), plan or Plan()
    views = views_for(student, data, augmentation, plan.seed)
    if unlabelled is not None:
        bare = np.full(len(unlabelled), NO_LABEL)
        images, labels = np.concatenate([views.images, unlabelled]), np.concatenate([views.labels, bare])
        views = replace(views, images=images, labels=labels)
    pair = Pair(student, teachers, data.image_shape, unlabelled is None)
    check(chosen, pair)

    def ask(layers: tuple[str, ...], temperature: float) -> Teacher:
        with threads_for(teachers[0]) as map_:
            return answers(teachers, views, map_, layers, temperature)

    objective = chosen.objective(pair, ask, np.random.default_rng((plan.seed, OWN)))
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
