"""Methods that weight classes separately, or compare relations between them. Each has the label weight of its paper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minikd.losses import dist, dkd, standardized_kl
from minikd.methods.logits import LogitObjective, WeightedMethod
from minikd.methods.method import Ask, Pair
from minikd.settings import setting
from minikd.training.objective import Objective, Term
from minikd.typing import Floats, Ints


@dataclass(frozen=True)
class DKD(WeightedMethod):
    """Decoupled knowledge distillation."""

    name = "dkd"
    summary = "label's class and other classes weighted separately"
    paper = "Zhao et al. 2022, Decoupled knowledge distillation (DKD), §3"
    needs = ("labels", "teacher's logits")

    temperature: float = setting(4.0, "softens student and teacher", above=0)
    alpha: float = setting(1.0, "weight of the label's class against the rest", 0)
    beta: float = setting(8.0, "weight of the other classes among themselves", 0)

    def refusal(self, pair: Pair) -> str:
        classes = pair.student.output_shape(pair.image)[0]
        return "" if classes > 2 else f"with {classes} classes there are no others to compare among themselves"

    def soft(self, logits: Floats, teacher_logits: Floats, labels: Ints) -> Sequence[Term]:
        return (Term("soft", 1.0, *dkd(logits, teacher_logits, labels, self.temperature, self.alpha, self.beta)),)


@dataclass(frozen=True)
class Dist(WeightedMethod):
    """DIST: Pearson correlations between the probabilities of both networks."""

    name = "dist"
    summary = "correlation with the teacher's probabilities"
    paper = "Huang et al. 2022, Knowledge distillation from a stronger teacher, §4"

    temperature: float = setting(1.0, "softens student and teacher", above=0)
    beta: float = setting(2.0, "weight of the relations between classes", 0)
    gamma: float = setting(2.0, "weight of the relations between samples", 0)

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        return LogitObjective(self, ask((), self.temperature), across_batch=True)

    def soft(self, logits: Floats, teacher_logits: Floats, labels: Ints) -> Sequence[Term]:
        if len(logits) < 2:
            return ()  # the last batch of an epoch may have one sample, which has no relation to others
        return (Term("soft", 1.0, *dist(logits, teacher_logits, self.temperature, self.beta, self.gamma)),)


@dataclass(frozen=True)
class StandardizedKL(WeightedMethod):
    """Soft targets whose logits are standardised first."""

    name = "standardized_kl"
    summary = "soft targets from standardised logits"
    paper = "Sun et al. 2024, Logit standardization in knowledge distillation, algorithms 1 and 2"

    label_weight: float = setting(0.1, "weight of the labels' cross-entropy", 0)
    temperature: float = setting(2.0, "softens student and teacher, once their logits are standardised", above=0)
    weight: float = setting(9.0, "weight of the teacher's term", 0)

    def soft(self, logits: Floats, teacher_logits: Floats, labels: Ints) -> Sequence[Term]:
        return (Term("soft", self.weight, *standardized_kl(logits, teacher_logits, self.temperature)),)
