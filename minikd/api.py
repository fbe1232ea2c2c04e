"""The main functions: train a model, distill one into another, evaluate a model, save it."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from minikd import metrics
from minikd.arguments import check_choices, check_trainable, expect_data, expect_model, path_of, teachers_of
from minikd.backends import module_of
from minikd.compression.layers import Compression, check_fraction
from minikd.compression.network import train_small
from minikd.data import Augmentation, Dataset, Views, mean_and_std
from minikd.distillation.class_names import match, renumbered
from minikd.distillation.networks import EXTRA
from minikd.distillation.prepare import checked_unlabelled, joined
from minikd.distillation.progress import Bars
from minikd.distillation.teacher import asking
from minikd.errors import CheckpointError, ConfigError, ShapeError
from minikd.exports.integer import check_kind
from minikd.methods import Labels, Method, Pair, build, check
from minikd.methods.function import LossFunction
from minikd.nn import Sequential
from minikd.nn.reordering import reordered
from minikd.training import Callback, History, Plan, fit
from minikd.training.inference import logits_of, try_out
from minikd.training.parallel import Map, workers
from minikd.typing import Pixels
from minikd.weights import Card, save_model


@dataclass(frozen=True)
class Scores:
    """The results of a model on a test set: errors, accuracy, likelihood and calibration error."""

    errors: int
    accuracy: float
    nll: float
    ece: float


def train(
    model: Sequential,
    data: Dataset,
    plan: Plan | None = None,
    augmentation: Augmentation | None = None,
    *,
    callbacks: Sequence[Callback] | Literal["auto"] = "auto",
    quantize: str = "none",
    prune: float = 0.0,
) -> None:
    """Train `model` in place on the labels of the training images.

    The default plan is five epochs of Adam. callbacks: run around the steps, see `minikd.training.Callback`; by default
    progress bars on standard error, [] for none. The model gets the data's class names, as `model.class_names`. If it
    has names already, it keeps their order, and the labels are matched with them by name. quantize: round the weights
    to "int8", "int4" or "ternary" in each step, so that `export` to that kind changes nothing. prune: the fraction of
    the weights that is set to zero during the training. Raises ShapeError if the model does not turn the data's images
    into its classes, ConfigError if it has names of other classes, and Diverged.
    """
    data, plan, views = prepared(model, "model", data, plan, augmentation, callbacks)
    model.class_names = data.class_names

    def train(model: Sequential) -> None:
        fit(model, views, Labels(), plan, [History("model"), *chosen(callbacks)])

    fit_small(model, compression_of(quantize, prune, views, plan), data, views, train)


def distill(
    teacher: Sequential | Iterable[Sequential],
    student: Sequential,
    data: Dataset,
    plan: Plan | None = None,
    method: str | Method | type[Method] | LossFunction = "soft_targets",
    augmentation: Augmentation | None = None,
    *,
    callbacks: Sequence[Callback] | Literal["auto"] = "auto",
    unlabelled: Pixels | None = None,
    quantize: str = "none",
    prune: float = 0.0,
    **settings: object,
) -> None:
    """Train `student` in place on the teacher's outputs and on the labels.

    `method` is a name in `minikd.METHODS`, and `settings` are that method's settings, such as `temperature=4.0,
    alpha=0.9` of the default (Hinton, Vinyals & Dean 2015). It may also be an object of your own, FILE.py:NAME, or a
    function (student_logits, teacher_logits, labels) -> (loss, gradient with respect to the student's logits), whose
    further arguments are its settings (`minikd.methods.function`). The teacher sees the student's augmented images, in
    evaluation mode. The probabilities of several teachers are averaged. If a teacher knows its classes' names, its
    outputs are matched with the data's classes by name. `unlabelled`: more images of the data's shape and dtype; for
    them, the student learns only from the teacher. callbacks, quantize, prune: as in `train`. Raises the errors of
    `train`, ConfigError if the method cannot be used here, DtypeError if teacher and student differ in dtype or device,
    and DataError if `unlabelled` are not images.
    """
    data, plan, views = prepared(student, "student", data, plan, augmentation, callbacks)
    teachers = teachers_for(teacher, student, data, views)
    by = build(method, settings)
    views = with_unlabelled(views, unlabelled, data)
    pair = Pair(student, teachers, data.image_shape, unlabelled is None)
    check(by, pair)
    told = chosen(callbacks)
    objective = by.objective(pair, asking(teachers, views, told), np.random.default_rng((plan.seed, EXTRA)))
    student.class_names = data.class_names

    def train(student: Sequential) -> None:
        fit(student, views, objective, plan, [History("student"), *told])

    fit_small(student, compression_of(quantize, prune, views, plan), data, views, train)


def prepared(
    model: Sequential,
    role: str,
    data: Dataset,
    plan: Plan | None,
    augmentation: Augmentation | None,
    callbacks: Sequence[Callback] | Literal["auto"],
) -> tuple[Dataset, Plan, Views]:
    """Check the arguments; return the data in the order of the model's classes, the plan and the views."""
    expect_model(model, role)
    expect_data(data)
    check_choices(plan, augmentation, callbacks)
    data, plan = matched(model, data, f"the {role}"), plan or Plan()
    check_trainable(model, role)
    return data, plan, views_for(model, data, augmentation, plan.seed)


def teachers_for(
    teacher: Sequential | Iterable[Sequential], student: Sequential, data: Dataset, views: Views
) -> list[Sequential]:
    """Return the teachers with their outputs in the order of the data's classes. Each is tested on the first views."""
    teachers = [reordered(one, order_of(one, data, "the teacher")) for one in teachers_of(teacher, student)]
    for one in teachers:
        try_out(one, views, "the teacher")
    return teachers


def with_unlabelled(views: Views, unlabelled: Pixels | None, data: Dataset) -> Views:
    """Return the views, with the unlabelled images, if any, after the labelled ones."""
    if unlabelled is None:
        return views
    images, labels = joined(views.images, views.labels, checked_unlabelled(unlabelled, data, "unlabelled"))
    return replace(views, images=images, labels=labels)


def compression_of(quantize: str, prune: float, views: Views, plan: Plan) -> Compression:
    """Return how the weights are rounded and pruned during the steps of a plan."""
    steps = math.ceil(len(views) / plan.batch_size) * plan.epochs
    return Compression(check_kind(quantize), True, check_fraction(prune), steps)


def fit_small(
    model: Sequential, how: Compression, data: Dataset, views: Views, train: Callable[[Sequential], None]
) -> None:
    """Train a model in place, with rounded or pruned weights if `how` says so."""
    if not how.quantize and not how.prune:
        train(model)
        return
    train_small(model, how, Card.of("model", data, views.mean, views.std), data.train_images, train)


def evaluate(model: Sequential, data: Dataset) -> Scores:
    """Measure the model on the test images, normalised as the training images were.

    If the model knows its classes' names, they are matched with the data's. Raises the errors of `train`, and Diverged
    if an output is NaN or infinite.
    """
    expect_model(model, "model")
    expect_data(data)
    data = matched(model, data, "the model")
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
    """Write the model, and how to prepare images for it, as one .safetensors file; read it with `load_model`.

    Raises CheckpointError if it cannot be written, and the errors of `evaluate`.
    """
    expect_model(model, "model")
    expect_data(data)
    file = path_of(path)
    data = matched(model, data, "the model")
    save_model(file, model, Card.of(file.stem, data, *mean_and_std(data.train_images)))


def chosen(callbacks: Sequence[Callback] | Literal["auto"]) -> Sequence[Callback]:
    """Return the callbacks of a training: by default progress bars."""
    return [Bars()] if isinstance(callbacks, str) else callbacks


def order_of(model: Sequential, data: Dataset, who: str) -> tuple[int, ...]:
    """Return the number of the model's output for each class of the data. Raises ShapeError and ConfigError."""
    try:
        order = match(model.class_names or data.class_names, data.class_names, who, data.name)
    except CheckpointError as error:
        raise ConfigError(f"{error}, or remove the names: model.class_names = ()") from error
    check_outputs(model, data)
    return order


def matched(model: Sequential, data: Dataset, who: str) -> Dataset:
    """Check that the model fits the data, and return the data with its classes in the model's order."""
    return renumbered(data, order_of(model, data, who), model.class_names)


def threads_for(model: Sequential) -> AbstractContextManager[Map]:
    """Return `workers`: all cores, or one thread if a device does the work."""
    return workers(None if module_of(model.vector) is np else 1)


def views_for(model: Sequential, data: Dataset, augmentation: Augmentation | None = None, seed: int = 0) -> Views:
    """Return the training views in the model's dtype."""
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
