"""Estimates a run: the work of each stage, for the progress bar of the whole job, and its time and memory."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from minikd.backends import choose
from minikd.compression.job import Compressor
from minikd.data import Views
from minikd.distillation import networks
from minikd.distillation.measure import REPEATS
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import Recipe, Training
from minikd.distillation.search import by_rule
from minikd.distillation.teacher import answers
from minikd.methods import Labels, Pair, TeacherAnswers, check
from minikd.nn import Sequential
from minikd.training.inference import logits_of
from minikd.training.loop import step
from minikd.training.objective import Objective
from minikd.training.parallel import Map, workers
from minikd.training.run import Run
from minikd.typing import Shape

IMAGE = 75_000
"""The cost of an image in addition to its multiply-adds, in multiply-adds: its view, its loss, its part of a step."""

TRIAL = 0.7
"""The seconds for which the steps of each stage are timed, after a first step that does not count."""

STEPS = 20
"""The number of images that is enough for timing."""

REST = 5.0
"""The seconds that the figures and the report take."""

DRAWING = 60 * 10**6
"""The bytes of memory that the library for the figures takes."""

CLOSING = "measuring, figures"
"""The stage after the training of all models."""


@runtime_checkable
class PlannedCallback(Protocol):
    """A callback that needs the stages of the whole job and their work, such as `minikd.Bars`."""

    def plan(self, work: Mapping[str, float]) -> None: ...


def work(recipe: Recipe, data: Data, teacher: Sequential) -> dict[str, float]:
    """Return the stages of a job in order, and the work of each, in multiply-adds of a forward pass."""
    image, student = data.dataset.image_shape, recipe.student
    found = {} if recipe.teacher.weights else {"teacher": training_work(teacher, recipe.teacher, data.train, image)}
    found["student_baseline"] = training_work(networks.first_student(recipe, data.dataset), student, data.train, image)
    looks = (student.epochs if student.augmentation else 1) * len(data.transfer) * teacher.macs(image) / 3
    for name, model in networks.distilled_networks(recipe, data.dataset).items():
        found[name] = training_work(model, student, data.transfer, image) + looks
    return found


def training_work(model: Sequential, how: Training, views: Views, image: Shape) -> float:
    """Return the work of a model's training."""
    return float(how.epochs * len(views) * (model.macs(image) + IMAGE))


@dataclass(frozen=True)
class Outlook:
    """An estimate: the recipe, the seconds of each stage by name, in order, and the bytes of memory."""

    recipe: Recipe
    seconds: Mapping[str, float]
    memory: int

    @property
    def total(self) -> float:
        """Seconds of the whole run."""
        return sum(self.seconds.values())


def outlook(recipe: Recipe, only: str | None = None) -> Outlook:
    """Return an estimate for a run of a recipe, or for one stage. A few steps are timed, and nothing is written.

    Raises the errors that the run would raise before its first step, such as ConfigError.
    """
    trial = TrialSteps(recipe)
    stages = trial.stages()
    seconds = {name: trial.seconds(name, *stages[name]) for name in stages if only in (None, name)}
    return Outlook(
        trial.recipe, seconds | {CLOSING: trial.closing_seconds([stages[name][0] for name in seconds])}, trial.memory()
    )


class TrialSteps:
    """The data and networks of a job whose steps are timed."""

    def __init__(self, recipe: Recipe) -> None:
        self.backend = choose(recipe.backend)
        self.data, self.given = networks.prepared(recipe)
        self.recipe = recipe = by_rule(recipe, self.data, self.given[0].model if recipe.teacher.weights else None)
        for pair in networks.pairs(recipe, self.data, self.given):
            check(recipe.distillation.chosen, pair)
        student, card = networks.first_student(recipe, self.data.dataset), self.data.card("student_distilled")
        networks.check_batches(recipe, self.data, student)
        Compressor.of(recipe, self.data.dataset, card).check(student)
        self.threads = None if self.backend.name == "numpy" else 1
        own = [] if recipe.teacher.weights else [networks.first_teacher(recipe, self.data.dataset)]
        self.teachers = [one.to(self.backend) for one in (*own, *(given.model for given in self.given))]

    def stages(self) -> dict[str, tuple[Sequential, Training, Views]]:
        """Return the networks that are trained, in order, each with its plan and its images."""
        recipe, data = self.recipe, self.data
        found: dict[str, tuple[Sequential, Training, Views]] = {}
        if not recipe.teacher.weights:
            found["teacher"] = self.teachers[0].copy(), recipe.teacher, data.train
        found["student_baseline"] = networks.first_student(recipe, data.dataset), recipe.student, data.train
        for name, model in networks.distilled_networks(recipe, data.dataset).items():
            found[name] = model, recipe.student, data.transfer
        return found

    def seconds(self, name: str, model: Sequential, how: Training, views: Views) -> float:
        """Return the seconds of a stage: for steps, for measuring the watched images, and for its teacher's outputs."""
        plan, model = how.plan(self.recipe.seed), model.to(self.backend)
        few = replace(first_views(views, STEPS * plan.batch_size), augmentation=how.augmentation)
        begin = time.perf_counter()
        with workers(self.threads) as map_:
            objective = self.objective(name, model, few, map_)
            looking = (time.perf_counter() - begin) * len(views) / len(few)
            one = seconds_per_step(Run(model, few, objective, plan), map_)
            watched = seconds_of(model, first_views(self.data.watched, 1000), map_) * len(self.data.watched)
        steps = -(-len(views) // plan.batch_size)
        return looking + plan.epochs * (steps * one + watched)

    def objective(self, name: str, model: Sequential, views: Views, map_: Map) -> Objective:
        """Return the objective of a stage. An untrained teacher takes as long for its outputs as a trained one."""
        if name in ("teacher", "student_baseline"):
            return Labels()

        def ask(layers: tuple[str, ...], temperature: float) -> TeacherAnswers:
            return answers(self.teachers, views, map_, layers, temperature)

        pair = Pair(model, self.teachers, self.data.dataset.image_shape, self.data.all_labelled)
        rng = np.random.default_rng(self.recipe.seed)
        return self.recipe.distillation.chosen.objective(pair, ask, rng)

    def closing_seconds(self, models: Sequence[Sequential]) -> float:
        """Return the seconds of measuring the models on the test images, and of the figures and the report."""
        few = first_views(self.data.test, 1000)
        with workers(self.threads) as map_:
            image = sum(seconds_of(model.to(self.backend), few, map_) for model in models)
        return REPEATS * image * len(self.data.test) + REST

    def memory(self) -> int:
        """Return the bytes of memory: those of the process now, of the teachers' outputs, and of drawing."""
        import psutil

        each = self.data.dataset.classes * self.teachers[0].vector.itemsize if self.teachers else 0
        return int(psutil.Process().memory_info().rss) + each * len(self.data.transfer) + DRAWING


def first_views(views: Views, count: int) -> Views:
    """Return the first images of these."""
    return replace(views, images=views.images[:count], labels=views.labels[:count])


def seconds_per_step(run: Run, map_: Map) -> float:
    """Return the mean seconds of a training step. It takes as many steps as the time allows.

    The learning rate is 0. So the weights stay, and no loss can diverge, however many steps are timed.
    """
    images, taken, run.threads = np.arange(len(run.views)), 0, map_
    index = images[: run.plan.batch_size]
    step(run, index, 0.0)
    begin = time.perf_counter()
    while not taken or time.perf_counter() - begin < TRIAL:
        step(run, np.roll(images, -taken * len(index))[: len(index)], 0.0)
        taken += 1
    return (time.perf_counter() - begin) / taken


def seconds_of(model: Sequential, views: Views, map_: Map) -> float:
    """Return the seconds that a model takes for one image, when it computes many of them."""
    begin = time.perf_counter()
    logits_of(model, views, map_)
    return (time.perf_counter() - begin) / len(views)
