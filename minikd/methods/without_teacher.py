"""Methods without a teacher, which soften the labels. They show how much of a gain is possible without a teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.losses import kl_divergence, virtual_teacher
from minikd.methods.labels import Labels
from minikd.methods.logits import labels_term
from minikd.methods.method import Ask, Method, Pair
from minikd.settings import setting
from minikd.training.objective import Answer, Objective, Step, Term


@dataclass(frozen=True)
class LabelSmoothing(Method):
    """Cross-entropy with smoothed labels."""

    name = "label_smoothing"
    summary = "no teacher: labels with smoothed probabilities"
    paper = "Szegedy et al. 2016, Rethinking the inception architecture for computer vision, §7"
    needs = ("labels",)

    smoothing: float = setting(0.1, "probability that is shared among all classes", 0, below=1)

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        return Labels(self.smoothing)


@dataclass(frozen=True)
class VirtualTeacher(Method):
    """Soft targets that are computed from the label, without a network."""

    name = "virtual_teacher"
    summary = "no teacher: soft targets made by hand from the label"
    paper = "Yuan et al. 2020, Revisiting knowledge distillation via label smoothing regularization (Tf-KD)"
    needs = ("labels",)

    temperature: float = setting(4.0, "softens student and teacher", above=0)
    alpha: float = setting(0.9, "weight of the teacher's term in the loss; that of the labels is 1 - alpha", 0, most=1)
    correct: float = setting(0.9, "probability that the teacher gives the label, more than a guess", above=0, below=1)

    def refusal(self, pair: Pair) -> str:
        classes = pair.student.output_shape(pair.image)[0]
        guess = self.correct * classes <= 1
        return f"a teacher that is right with {self.correct:g} only guesses among {classes} classes" if guess else ""

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        return VirtualObjective(self)


class VirtualObjective(Objective):
    """Computes the teacher's logits from the batch's labels."""

    def __init__(self, method: VirtualTeacher) -> None:
        super().__init__()
        self.method, self.eager = method, method.eager

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        logits = student.logits
        teacher_logits = virtual_teacher(batch.labels, logits.shape[1], self.method.correct).astype(logits.dtype.name)
        soft = kl_divergence(logits, module_of(logits).asarray(teacher_logits), self.method.temperature)
        return Term("soft", self.method.alpha, *soft), *labels_term(1.0 - self.method.alpha, logits, batch.labels)
