"""Methods that add to soft targets a term between a hidden layer of the student and one of the teacher.

    L = α·T²·KL(teacher ‖ student) + (1 - α)·CE(student, labels) + weight·FEATURE(student's layer, teacher's layer)

With alpha=0, the teacher's logits are not used: the student learns from the labels and from the teacher's hidden layer.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.errors import ConfigError
from minikd.losses import kl_divergence
from minikd.methods.layers import Layers, compared_layers
from minikd.methods.logits import MixedMethod
from minikd.methods.method import Ask, Pair
from minikd.methods.schedule import value_at
from minikd.nn.layer import Layer
from minikd.settings import setting
from minikd.training.objective import Answer, Objective, Step, TeacherAnswers, Term
from minikd.typing import Floats, Scalar

Compared = tuple[Scalar, Floats, Mapping[str, Floats]]
"""The loss between two features, with its gradients with respect to the student's feature and the extra parameters."""


@dataclass(frozen=True)
class FeatureMethod(MixedMethod):
    """The base of methods that compare hidden layers."""

    needs = ("teacher's logits", "features")
    maps: ClassVar[bool] = False
    across_batch: ClassVar[bool] = False
    least: ClassVar[int] = 1
    """The number of samples that the term needs. A smaller last batch is trained without the term."""

    weight: float = setting(1.0, "weight of the term between the hidden layers", 0)
    final_weight: float | None = setting(None, "weight at the end of the run; none: it stays", 0)
    student_layer: str = setting(
        "", "the student's layer, such as relu_2, or its number; none: the last hidden one that fits"
    )
    teacher_layer: str = setting(
        "", "the teacher's layer, such as relu_2, or its number; none: the last hidden one that fits"
    )

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> tuple[Scalar, Floats]:
        return kl_divergence(logits, teacher_logits, temperature)

    @abstractmethod
    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        """Return the loss between the student's feature and the teacher's, a mean over the batch, with gradients."""

    def extra_parameters(self, inputs: int, outputs: int, rng: np.random.Generator) -> Layer:
        """Return the extra parameters for features of these sizes per sample. By default there are none."""
        return Layer()

    @property
    def second_stage_start(self) -> float:
        """The fraction of the run after which a second stage begins, see `objective.Objective`.

        With 0 there is one stage.
        """
        return 0.0

    def parts(self, progress: float) -> tuple[bool, bool]:
        """Return whether the feature term and the other terms are used at this progress of the run, 0 to 1."""
        return True, True

    def weight_at(self, progress: float) -> float:
        """Return the weight of the feature term at this progress of the run, 0 to 1."""
        return value_at(self.weight, self.final_weight, progress, self.schedule)

    def layers(self, pair: Pair) -> Layers:
        """Return the layers that are compared. Raises ConfigError if there are none."""
        if len(pair.teachers) > 1:
            raise ConfigError(
                f"it compares with a hidden layer of one teacher, but there are {len(pair.teachers)} teachers"
            )
        asked = self.student_layer, self.teacher_layer
        return compared_layers(pair.student, pair.teachers[0], pair.image, asked, self.maps)

    @property
    def eager(self) -> str:
        if self.final_weight is not None:
            return "the weight of the term between the hidden layers moves from step to step"
        return "it has a second stage" if self.second_stage_start else super().eager

    def refusal(self, pair: Pair) -> str:
        try:
            self.layers(pair)
        except ConfigError as error:
            return str(error)
        return super().refusal(pair)

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        layers, like = self.layers(pair), pair.student.vector
        extra = self.extra_parameters(math.prod(layers.student_shape), math.prod(layers.teacher_shape), rng)
        there = extra.converted(lambda value: module_of(like).asarray(value.astype(like.dtype)))
        return FeatureObjective(self, ask((layers.teacher,), self.temperature), layers, there)


class FeatureObjective(Objective):
    """Gets the teacher's logits and feature, and returns the method's terms."""

    def __init__(self, method: FeatureMethod, teacher: TeacherAnswers, layers: Layers, extra: Layer) -> None:
        super().__init__()
        self.method, self.teacher, self.layers, self.extra_parameters = method, teacher, layers, extra
        self.taps, self.across_batch = (layers.student,), method.across_batch
        self.eager = method.eager
        self.second_stage_start = method.second_stage_start

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        terms: list[Term] = []
        with_feature, with_others = self.method.parts(step.progress)
        if with_others:
            terms += self.method.terms(student, teacher, batch, step)
        if with_feature and len(student.logits) >= self.method.least:
            fs, ft = student.taps[self.layers.student], teacher.taps[self.layers.teacher]
            loss, dfs, grads = self.method.compare(fs, ft, self.extra_parameters)
            dtaps = {self.layers.student: dfs}
            terms.append(Term("feature", self.method.weight_at(step.progress), loss, dtaps=dtaps, grads=grads))
        return terms
