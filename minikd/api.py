"""The package in five verbs: load a data set, train a model, distill one into another, evaluate, save and load."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from minikd import metrics
from minikd.arguments import check_choices, check_data, check_method, check_model, check_trainable, path_of, teachers_of
from minikd.backends import module_of
from minikd.console.progress import Bars
from minikd.data import Augmentation, Dataset, Views, mean_and_std
from minikd.distillation.class_names import match, renumbered
from minikd.distillation.networks import EXTRA
from minikd.distillation.prepare import checked_unlabelled, joined
from minikd.distillation.teacher import answers
from minikd.errors import CheckpointError, ConfigError, ShapeError
from minikd.methods import Labels, Pair, Teacher, build, check
from minikd.nn import Sequential
from minikd.nn.reordering import reordered
from minikd.training import Plan, Watcher, fit
from minikd.training.inference import logits_of, try_out
from minikd.training.parallel import Map, workers
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
    watcher: Watcher | Literal["auto"] | None = "auto",
) -> None:
    """Train `model` in place on the labels of the training images.

    The plan's default is five epochs of Adam. watcher: who is told how it goes; by default bars on standard error, None
    for silence. The model has the data's class names from then on, as `model.class_names`. One that has names
    already keeps their order: the labels are matched with them by name. Raises ShapeError where the model does not
    turn the data's images into its classes, ConfigError where it has names for others, and Diverged.
    """
    check_model(model, "model")
    check_data(data)
    check_choices(plan, augmentation, watcher)
    data, plan = matched(model, data, "the model"), plan or Plan()
    check_trainable(model, "model")
    views = views_for(model, data, augmentation, plan.seed)
    model.class_names = data.class_names
    fit(model, views, Labels(), plan, name="model", watcher=watcher_of(watcher))


def distill(
    teacher: Sequential | Iterable[Sequential],
    student: Sequential,
    data: Dataset,
    plan: Plan | None = None,
    method: str = "soft_targets",
    augmentation: Augmentation | None = None,
    watcher: Watcher | Literal["auto"] | None = "auto",
    unlabelled: Pixels | None = None,
    **settings: object,
) -> None:
    """Train `student` in place on what the teacher knows, and on the labels.

    `method` names one of `minikd.METHODS`, and `settings` are the method's own, such as `temperature=4.0, alpha=0.9` of
    the default (Hinton, Vinyals & Dean 2015). The teacher sees the very views that the student sees, in evaluation
    mode; the probabilities of several teachers are averaged. A teacher that knows its classes' names, as one does
    that was trained or loaded, is asked for the data's by name, whatever its order. `unlabelled` are more images to
    learn on, of the data's shape and dtype, for which the teacher alone has an answer. watcher: as in `train`.
    Raises as `train`, ConfigError where the method cannot be used on what is given, DtypeError for a teacher of
    another dtype or device than the student's, and DataError for `unlabelled` that are no images.
    """
    check_model(student, "student")
    check_data(data)
    check_choices(plan, augmentation, watcher)
    check_method(method)
    data = matched(student, data, "the student")
    check_trainable(student, "student")
    teachers = [reordered(one, order_of(one, data, "the teacher")) for one in teachers_of(teacher, student)]
    chosen, plan = build(method, settings), plan or Plan()
    views = views_for(student, data, augmentation, plan.seed)
    for one in teachers:
        try_out(one, views, "the teacher")
    if unlabelled is not None:
        bare = checked_unlabelled(unlabelled, data, "unlabelled")
        images, labels = joined(views.images, views.labels, bare)
        views = replace(views, images=images, labels=labels)
    pair = Pair(student, teachers, data.image_shape, unlabelled is None)
    check(chosen, pair)

    told = watcher_of(watcher)

    def ask(layers: tuple[str, ...], temperature: float) -> Teacher:
        if told:
            told.note(f"the teacher looks at {len(views):,} images ...")
        with threads_for(teachers[0]) as map_:
            return answers(teachers, views, map_, layers, temperature)

    objective = chosen.objective(pair, ask, np.random.default_rng((plan.seed, EXTRA)))
    student.class_names = data.class_names
    fit(student, views, objective, plan, name="student", watcher=told)


def evaluate(model: Sequential, data: Dataset) -> Scores:
    """Return what the model is worth on the test images, prepared as the training images were.

    Where the model knows its classes' names, as one does that was trained or loaded, they are matched with the data's.
    Raises as `train`; Diverged where an answer is NaN or infinite.
    """
    check_model(model, "model")
    check_data(data)
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

    Raises CheckpointError where it cannot be written, and as `evaluate`.
    """
    check_model(model, "model")
    check_data(data)
    file = path_of(path)
    data = matched(model, data, "the model")
    save_model(file, model, Card.of(file.stem, data, *mean_and_std(data.train_images)))


def watcher_of(watcher: Watcher | Literal["auto"] | None) -> Watcher | None:
    """Return who is told how training goes: by default bars."""
    return Bars() if isinstance(watcher, str) else watcher


def order_of(model: Sequential, data: Dataset, who: str) -> tuple[int, ...]:
    """Return which of the model's outputs is each class of the data. Raises ShapeError and ConfigError."""
    try:
        order = match(model.class_names or data.class_names, data.class_names, who, data.name)
    except CheckpointError as error:
        raise ConfigError(f"{error}, or have it forget the names: model.class_names = ()") from error
    check_outputs(model, data)
    return order


def matched(model: Sequential, data: Dataset, who: str) -> Dataset:
    """Return the data with its classes in the model's order, once it is clear that the model fits them."""
    return renumbered(data, order_of(model, data, who), model.class_names)


def threads_for(model: Sequential) -> AbstractContextManager[Map]:
    """Return `workers`: all cores, or one thread where a device does the work."""
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
