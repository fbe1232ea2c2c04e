"""Methods that compare logits: their objective, and two ways to weight the teacher's term against the labels' term.

    mixed:     L = α·SOFT(student, teacher) + (1 - α)·CE(student, labels)
    weighted:  L = SOFT(student, teacher) + label_weight·CE(student, labels)

An image may have no label; then its class number is -1, and only the teacher's term counts. In mixed methods, α is 1
for such an image: the batch is divided into images with and without a label, and each part counts in proportion to its
number of samples. In all methods, the labels' term is a mean over the whole batch, in which images without a label
count as 0.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.errors import ConfigError
from minikd.losses import cross_entropy
from minikd.losses.weighted import weighted_sum
from minikd.methods.method import Ask, Method, Pair
from minikd.methods.schedule import SCHEDULES, value_at
from minikd.settings import setting
from minikd.training.objective import Answer, Objective, Step, TeacherAnswers, Term
from minikd.typing import Floats, Ints, Scalar

Loss = tuple[Scalar, Floats]
"""A loss, a mean over samples, and its gradient with respect to their logits (N, K)."""


@dataclass(frozen=True)
class LogitMethod(Method):
    """The base of methods whose terms are computed from the logits of both networks and the labels."""

    needs: ClassVar[tuple[str, ...]] = ("teacher's logits",)

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        return LogitObjective(self, ask((), self.temperature))

    @abstractmethod
    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        """Return the terms for the student's logits and the teacher's, both (N, K)."""


class LogitObjective(Objective):
    """The objective of a method that compares logits."""

    def __init__(self, method: LogitMethod, teacher: TeacherAnswers, across_batch: bool = False) -> None:
        super().__init__()
        self.method, self.teacher, self.across_batch, self.eager = method, teacher, across_batch, method.eager
        self.terms = method.terms


@dataclass(frozen=True)
class MixedMethod(LogitMethod):
    """The base of methods in which α weights the soft term and 1 − α the labels."""

    temperature: float = setting(4.0, "softens student and teacher", above=0)
    alpha: float = setting(0.9, "weight of the teacher's term in the loss; that of the labels is 1 - alpha", 0, most=1)
    final_temperature: float | None = setting(None, "temperature at the end of the run; none: it stays", above=0)
    final_alpha: float | None = setting(None, "alpha at the end of the run; none: it stays", 0, most=1)
    schedule: str = setting("linear", "how a setting with a final value changes", choices=SCHEDULES)

    def __post_init__(self) -> None:
        super().__post_init__()
        final = [one.name for one in fields(self) if one.name.startswith("final_")]
        if self.schedule != "linear" and all(getattr(self, name) is None for name in final):
            raise ConfigError(
                f"schedule is {self.schedule!r}, but has no effect, because no setting changes; give "
                f"{' or '.join(final)}, or leave schedule out"
            )

    @property
    def eager(self) -> str:
        moving = self.final_temperature is not None or self.final_alpha is not None
        return "temperature or alpha moves from step to step" if moving else super().eager

    def refusal(self, pair: Pair) -> str:
        if len(pair.teachers) > 1 and self.final_temperature is not None:
            return "several teachers are averaged at one temperature, so final_temperature must be left out"
        return ""

    def at(self, progress: float) -> tuple[float, float]:
        """Return temperature and alpha at this progress of the run, 0 to 1."""
        return (
            value_at(self.temperature, self.final_temperature, progress, self.schedule),
            value_at(self.alpha, self.final_alpha, progress, self.schedule),
        )

    @abstractmethod
    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        """Return the soft term, a mean over the samples, none of which depends on another."""

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        temperature, alpha = self.at(step.progress)
        return mixed(lambda z, v: self.soft(z, v, temperature), student.logits, teacher.logits, batch.labels, alpha)


@dataclass(frozen=True)
class WeightedMethod(LogitMethod):
    """The base of methods whose papers weight the labels separately."""

    label_weight: float = setting(1.0, "weight of the labels' cross-entropy", 0)
    warm_up: float = setting(0.0, "share of the run in which the teacher's term rises from 0 to its weight", 0, most=1)

    @property
    def eager(self) -> str:
        return "the weight of the teacher's term rises from step to step" if self.warm_up else super().eager

    @abstractmethod
    def soft(self, logits: Floats, teacher_logits: Floats, labels: Ints) -> Sequence[Term]:
        """Return the soft term, or none if the batch is too small for it."""

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        logits, labels = student.logits, batch.labels
        risen = 1.0 if step.progress >= self.warm_up else step.progress / self.warm_up
        soft = (term._replace(weight=risen * term.weight) for term in self.soft(logits, teacher.logits, labels))
        return *soft, *labels_term(self.label_weight, logits, labels)


def without_label(labels: Ints) -> Ints:
    """Return which images of a batch have no label. If the labels are on a device, it is none, see `training.graph`."""
    none: Ints = np.flatnonzero(labels < 0) if module_of(labels) is np else np.empty(0, np.int64)
    return none


def labels_term(weight: float, logits: Floats, labels: Ints) -> Sequence[Term]:
    """Return the labels' term: a mean over the batch, in which images without a label count as 0.

    Without labels: none.
    """
    bare = without_label(labels)
    if len(bare) == 0:
        return (Term("hard", weight, *cross_entropy(logits, labels)),)
    if len(bare) == len(labels):
        return ()
    known = np.flatnonzero(labels >= 0)
    some = cross_entropy(logits[module_of(logits).asarray(known)], labels[known])
    return (Term("hard", weight, *as_part_of_batch(some, known, logits)),)


def mixed(
    soft: Callable[[Floats, Floats], Loss], logits: Floats, teacher_logits: Floats, labels: Ints, alpha: float
) -> Sequence[Term]:
    """Return alpha times the soft term (1 times for images without a label), and 1 - alpha times the labels' term."""
    bare = without_label(labels)
    if len(bare) == 0:
        return Term("soft", alpha, *soft(logits, teacher_logits)), *labels_term(1.0 - alpha, logits, labels)
    xp, parts = module_of(logits), []
    for weight, rows in ((1.0, bare), (alpha, np.flatnonzero(labels >= 0))):
        if len(rows):
            there = xp.asarray(rows)
            parts.append((weight, *as_part_of_batch(soft(logits[there], teacher_logits[there]), rows, logits)))
    loss = weighted_sum([(weight, loss) for weight, loss, _ in parts])
    gradient = weighted_sum([(weight, gradient) for weight, _, gradient in parts])
    return Term("soft", 1.0, loss, gradient), *labels_term(1.0 - alpha, logits, labels)


def as_part_of_batch(part: Loss, rows: Ints, logits: Floats) -> Loss:
    """Return the part of the batch's mean loss that some of its samples give, and its gradient (N, K)."""
    xp, share = module_of(logits), len(rows) / len(logits)
    whole = xp.zeros_like(logits)
    whole[xp.asarray(rows)] = part[1] * share
    return part[0] * share, whole
