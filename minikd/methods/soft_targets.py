"""Soft targets: the student learns the teacher's softened probabilities and the labels.

    L = α·T²·KL(teacher ‖ student; T) + (1 - α)·CE(student, labels; T = 1)

The derivation and the gradient are in the files of `losses.distillation_loss` and `losses.kl_divergence`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from minikd.data import Batch
from minikd.losses import distillation_loss, kl_divergence
from minikd.methods.logits import Loss, MixedMethod, without_label
from minikd.training.objective import Answer, Step, Term
from minikd.typing import Floats


@dataclass(frozen=True)
class SoftTargets(MixedMethod):
    """Classic distillation (Hinton, Vinyals & Dean 2015)."""

    name = "soft_targets"
    summary = "the teacher's softened probabilities and the labels"
    paper = "Hinton, Vinyals & Dean 2015, Distilling the knowledge in a neural network, §2"

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        one_by_one = partial(super().terms, student, teacher, batch, step)
        if len(without_label(batch.labels)):  # without a label, only the soft term counts
            return one_by_one()
        temperature, alpha = self.at(step.progress)
        loss, dlogits = distillation_loss(student.logits, teacher.logits, batch.labels, temperature, alpha)
        return (Term("distillation", 1.0, loss, dlogits, parts=one_by_one),)

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return kl_divergence(logits, teacher_logits, temperature)
