"""A learned temperature: it is trained to make the student's task harder while the student learns.

    T = 1 + 20·sigmoid(θ),   the student minimises T²·KL; θ maximises it, with λ times the gradient

dT/dθ = 20 s (1 - s) = (T - 1)(21 - T)/20. So the optimiser gets the gradient -λ·dL/dT·dT/dθ. λ rises from 0 along half
a cosine, so the task is easy at first. The gradients are in `losses.kl_with_temperature`. On a device, each step waits
for T, because the host needs its value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.losses import kl_with_temperature
from minikd.methods.logits import labels_term
from minikd.methods.method import Ask, Method, Pair
from minikd.settings import setting
from minikd.training.objective import Answer, Objective, Step, TeacherAnswers, Term
from minikd.typing import Floats

LOWEST, RANGE = 1.0, 20.0


@dataclass(frozen=True)
class CurriculumTemperature(Method):
    """CTKD, with one temperature for all samples."""

    name = "curriculum_temperature"
    summary = "soft targets at a temperature that is learned"
    paper = "Li et al. 2023, Curriculum temperature for knowledge distillation (CTKD), §3"

    temperature: float = setting(4.0, "temperature at the start", above=LOWEST, below=LOWEST + RANGE)
    alpha: float = setting(0.9, "weight of the teacher's term in the loss; that of the labels is 1 - alpha", 0, most=1)
    strength: float = setting(1.0, "the largest λ, the weight of the temperature's climb", 0)
    rise: float = setting(0.1, "share of the run in which λ rises to it", 0, most=1)

    @property
    def eager(self) -> str:
        return "the host has to know the temperature of each step"

    def refusal(self, pair: Pair) -> str:
        many = len(pair.teachers) > 1
        return "several teachers are averaged at one temperature, and its temperature moves" if many else ""

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        return CurriculumObjective(self, ask((), self.temperature), pair.student.vector)

    def weight_of_climb(self, progress: float) -> float:
        """Return λ at this progress of the run, 0 to 1."""
        part = 1.0 if progress >= self.rise else progress / self.rise
        return self.strength * (1 - math.cos(math.pi * part)) / 2


class CurriculumObjective(Objective):
    """Soft targets whose temperature is a parameter of the objective."""

    def __init__(self, method: CurriculumTemperature, teacher: TeacherAnswers, like: Floats) -> None:
        super().__init__()
        self.method, self.teacher, self.eager = method, teacher, method.eager
        part = (method.temperature - LOWEST) / RANGE
        self.extra_parameters.params["theta"] = module_of(like).full(1, math.log(part / (1 - part)), like.dtype)

    @property
    def temperature(self) -> float:
        """The present temperature."""
        return LOWEST + RANGE / (1 + math.exp(-float(self.extra_parameters.params["theta"][0])))

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        T, logits = self.temperature, student.logits
        loss, dlogits, dT = kl_with_temperature(logits, teacher.logits, T)
        slope = (T - LOWEST) * (LOWEST + RANGE - T) / RANGE
        dtheta = module_of(logits).asarray(dT).reshape(1) * (-self.method.weight_of_climb(step.progress) * slope)
        soft = Term("soft", self.method.alpha, loss, dlogits, grads={"theta": dtheta})
        return soft, *labels_term(1.0 - self.method.alpha, logits, batch.labels)
