"""The cost of a pitfall: short trainings with and without the bug, over several seeds.

Both students of a pair start from the same weights and see the same images in the same order. The recipe is small on
purpose, and the same for all pairs. Errors are counted on training images that no model learns from, so the test set is
not used. The teachers are trained once. A seed determines the students' weights, images and shuffles.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from minikd.data import Augmentation, Dataset, Views, mean_and_std
from minikd.data.batches import NO_LABEL
from minikd.evidence.pitfalls.scene import TEMPERATURE, WiringObjective, network
from minikd.evidence.pitfalls.wiring import RIGHT, Conditions, Pitfall, Wiring
from minikd.methods.labels import Labels
from minikd.metrics import errors, mcnemar
from minikd.nn import Sequential
from minikd.training import Evaluation, History, Plan, fit
from minikd.training.inference import logits_of
from minikd.training.parallel import Map, workers
from minikd.typing import Floats

TEACHERS = 2
"""The number of teachers that are trained. The pitfall with several teachers needs two."""


@dataclass(frozen=True)
class PairedTraining:
    """The sizes of the paired training; the temperature is 4."""

    teacher_images: int = 20_000
    teacher_hidden: int = 400
    teacher_epochs: int = 5
    images: int = 2_000
    hidden: int = 64
    epochs: int = 20
    judged: int = 10_000
    learning_rate: float = 5e-3
    alpha: float = 0.9


QUICK = PairedTraining(teacher_images=1_000, teacher_hidden=64, teacher_epochs=1, images=500, epochs=2, judged=500)
"""A very short training, to see that everything runs. Its results mean little."""


@dataclass(frozen=True)
class Cost:
    """Errors by seed without and with the bug, of `judged` images, and McNemar's p of each pair."""

    right: tuple[int, ...]
    wrong: tuple[int, ...]
    p: tuple[float, ...]
    judged: int

    @property
    def mean(self) -> float:
        """The mean of the differences: the cost of the bug in errors."""
        return float(np.mean(np.subtract(self.wrong, self.right)))

    @property
    def margin(self) -> float | None:
        """Half the width of the mean's 95 % interval (Student's t over the seeds); None for a single seed."""
        if len(self.wrong) < 2:
            return None
        from scipy.stats import t

        differences = np.subtract(self.wrong, self.right)
        spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
        return float(t.ppf(0.975, len(differences) - 1)) * spread


class Trainings:
    """The paired trainings on one data set. A right version that several pitfalls share is trained only once."""

    def __init__(self, dataset: Dataset, recipe: PairedTraining, map_: Map) -> None:
        self.dataset, self.recipe, self.map = dataset, recipe, map_
        self.mean, self.std = mean_and_std(dataset.train_images[: recipe.teacher_images])
        last = slice(-recipe.judged, None)
        self.judges = Views(dataset.train_images[last], dataset.train_labels[last], self.mean, self.std)
        self.teachers = [self.teacher(number) for number in range(TEACHERS)]
        self.known: dict[tuple[Conditions, int], Floats] = {}

    def teacher(self, number: int) -> Sequential:
        """Train a teacher on the labels."""
        recipe, rng = self.recipe, np.random.default_rng((number, 1))
        model = network(recipe.teacher_hidden, 0.3, self.dataset.image_shape, rng)
        part = slice(recipe.teacher_images)
        views = Views(self.dataset.train_images[part], self.dataset.train_labels[part], self.mean, self.std)
        fit(model, views, Labels(), Plan(epochs=recipe.teacher_epochs, seed=number))
        return model

    def student(self, wiring: Wiring, where: Conditions, seed: int, alpha: float | None = None) -> Floats:
        """Distill a student in this wiring, and return its logits for the held-out images."""
        recipe, rng = self.recipe, np.random.default_rng((seed, 2))
        chosen = rng.choice(recipe.teacher_images, recipe.images, replace=False)
        labels = self.dataset.train_labels[chosen]
        labels[rng.random(len(labels)) >= where.labelled] = NO_LABEL
        augmentation = Augmentation(shift=where.shift) if where.shift else None
        views = Views(self.dataset.train_images[chosen], labels, self.mean, self.std, augmentation, seed)
        student = wiring.student(network(recipe.hidden, where.dropout, self.dataset.image_shape, rng))
        teachers = [teacher.copy() for teacher in self.teachers[: where.teachers]]
        learner, guides = wiring.roles(student, teachers)
        teacher = wiring.ask(guides, views, TEMPERATURE)
        objective = WiringObjective(wiring, teacher, recipe.alpha if alpha is None else alpha)
        plan = Plan(epochs=recipe.epochs, learning_rate=recipe.learning_rate, shards=1, seed=seed)
        fit(learner, views, objective, plan, [History(evaluate=evaluate_each_epoch(student, views))])
        return logits_of(student, self.judges, self.map)

    def right(self, where: Conditions, seed: int) -> Floats:
        """Return the logits of the student without a bug."""
        if (where, seed) not in self.known:
            self.known[where, seed] = self.student(RIGHT, where, seed)
        return self.known[where, seed]

    def cost(self, pitfall: Pitfall, seeds: Iterable[int]) -> Cost:
        """Train the pairs of all seeds."""
        labels, right, wrong, p = self.judges.labels, [], [], []
        for seed in seeds:
            a, b = self.right(pitfall.where, seed), self.student(pitfall.wrong, pitfall.where, seed)
            right.append(errors(a, labels))
            wrong.append(errors(b, labels))
            p.append(mcnemar(a, b, labels).p)
        return Cost(tuple(right), tuple(wrong), tuple(p), len(labels))

    def alone(self, seeds: Iterable[int]) -> tuple[int, ...]:
        """Return the errors of students that learn from the labels alone, for comparison."""
        return tuple(errors(self.student(RIGHT, Conditions(), seed, 0.0), self.judges.labels) for seed in seeds)


def evaluate_each_epoch(student: Sequential, views: Views) -> Callable[[Sequential, Map], Evaluation]:
    """Return a function that evaluates the student after each epoch, as in every training. Its results are not used."""

    def look(model: Sequential, map_: Map) -> Evaluation:
        student(views.clean(slice(1)))
        return Evaluation(float("nan"), float("nan"), "nothing")

    return look


def costs(
    pitfalls: Iterable[Pitfall], dataset: Dataset, seeds: int, tell: Callable[[str], None], recipe: PairedTraining
) -> tuple[dict[str, Cost], tuple[int, ...]]:
    """Return each pitfall's cost by its name, and the errors of students without a teacher.

    `tell` gets the progress.
    """
    with workers() as map_:
        tell("training the teachers")
        trainings = Trainings(dataset, recipe, map_)
        found = {}
        for pitfall in pitfalls:
            tell(f"training with and without {pitfall.name}")
            found[pitfall.name] = trainings.cost(pitfall, range(seeds))
        tell("training without a teacher")
        return found, trainings.alone(range(seeds))
