"""One fixed random batch, and the student's gradient on it in a wiring, without training and without a data set.

The batch is the first of the second epoch, after one evaluation of the student, because some bugs have no effect
before. All numbers are float64 and drawn from a seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minikd.data import Augmentation, Batch, Views, epoch_order
from minikd.data.batches import NO_LABEL
from minikd.evidence.pitfalls.wiring import Conditions, Wiring
from minikd.methods import TeacherAnswers
from minikd.methods.logits import as_part_of_batch, labels_term
from minikd.models import mlp
from minikd.nn import Dropout, Sequential
from minikd.training.objective import Answer, Objective, Step, Term, add_up
from minikd.typing import Floats, Ints, Shape

TEMPERATURE, ALPHA = 4.0, 0.9
IMAGE, CLASSES, IMAGES, BATCH = (1, 8, 8), 10, 80, 40


class WiringObjective(Objective):
    """The objective of soft targets and labels with a wiring."""

    def __init__(self, wiring: Wiring, teacher: TeacherAnswers, alpha: float) -> None:
        super().__init__()
        self.wiring, self.teacher, self.alpha = wiring, teacher, alpha

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        return terms_of(self.wiring, student.logits, teacher.logits, batch.labels, self.alpha)


def terms_of(wiring: Wiring, logits: Floats, teacher_logits: Floats, labels: Ints, alpha: float) -> Sequence[Term]:
    """Return the teacher's terms, with and without labels, and the labels' term, as means over the batch."""
    parts = []
    for soft, weight, rows in (
        (wiring.soft, alpha, np.flatnonzero(labels != NO_LABEL)),
        (wiring.bare, 1.0, np.flatnonzero(labels == NO_LABEL)),
    ):
        if len(rows):
            parts.append(
                Term(
                    "soft",
                    weight,
                    *as_part_of_batch(soft(logits[rows], teacher_logits[rows], TEMPERATURE), rows, logits),
                )
            )
    return *parts, *labels_term(1.0 - alpha, logits, labels)


@dataclass(frozen=True, eq=False)
class Scene:
    """Networks and images on which a bug has an effect."""

    student: Sequential
    teachers: Sequence[Sequential]
    views: Views

    def batch(self, epoch: int) -> Batch:
        """Return the first batch of an epoch."""
        return self.views.batch(epoch, epoch_order(len(self.views), BATCH, self.views.seed, epoch)[0])


def network(hidden: int, dropout: float, image: Shape, rng: np.random.Generator) -> Sequential:
    """Return a network with one hidden layer, followed by dropout if there is any."""
    first, rest = mlp(image, (hidden,), CLASSES, rng).layers[:3], mlp(image, (hidden,), CLASSES, rng).layers[3:]
    drop = [Dropout(dropout)] if dropout else []
    return Sequential(*(layer.copy() for layer in (*first, *drop, *rest)))


def scene_of(where: Conditions, seed: int = 0) -> Scene:
    """Return random images, a student, and teachers that are sure enough to disagree, all in float64."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (IMAGES, *IMAGE), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, IMAGES)
    labels[rng.random(IMAGES) >= where.labelled] = NO_LABEL
    augmentation = Augmentation(shift=where.shift) if where.shift else None
    views = Views(images, labels, (0.5,), (0.29,), augmentation, seed, np.float64)
    student = network(32, where.dropout, IMAGE, rng).astype("float64")
    teachers = [network(48, 0.3, IMAGE, rng).astype("float64") for _ in range(where.teachers)]
    for teacher in teachers:
        teacher.layers[-1].params["weight"] *= 4.0
    return Scene(student, teachers, views)


def gradient(wiring: Wiring, scene: Scene) -> Floats:
    """Return the gradient of the teacher's term (alpha = 1) with respect to the weights; 0 if they are not trained."""
    student = wiring.student(scene.student.copy())
    learner, guides = wiring.roles(student, scene.teachers)
    objective = WiringObjective(wiring, wiring.ask(guides, scene.views, TEMPERATURE), 1.0)
    student(scene.views.clean())  # the evaluation at the end of the first epoch
    batch = scene.batch(1)
    step = Step(0.5, np.random.default_rng(2))
    logits, taps, cache = learner.forward_with_taps(batch.images, (), True, np.random.default_rng(1))
    found = add_up(objective.terms(Answer(logits, taps), objective.teacher(batch), batch, step), logits, 1.0)
    if learner is not student:
        return np.zeros_like(student.vector)
    return learner.flat_gradient(learner.parameter_gradients(found.dlogits, cache))


@dataclass(frozen=True)
class GradientComparison:
    """A gradient compared with the right one: the ratio of the norms, and the cosine (None for norm 0)."""

    ratio: float
    cosine: float | None


def compare_gradients(wrong: Floats, right: Floats) -> GradientComparison:
    """Compare two gradients."""
    a, b = float(np.linalg.norm(wrong)), float(np.linalg.norm(right))
    return GradientComparison(a / b, float(wrong @ right) / (a * b) if a else None)  # () = (n,) @ (n,)
