"""Soft targets: the teacher's probabilities, softened, beside the labels.

    L = α·T²·KL(teacher ‖ student; T) + (1 - α)·CE(student, labels; T = 1)

Derivation and gradient stand beside the loss, `losses.kl_divergence`; the mixing is that of `logits.MixedMethod`.
"""

from dataclasses import dataclass

from minikd.losses import kl_divergence
from minikd.methods.logits import Loss, MixedMethod
from minikd.typing import Floats


@dataclass(frozen=True)
class SoftTargets(MixedMethod):
    """The classic."""

    name = "soft_targets"
    summary = "the teacher's softened probabilities, beside the labels"
    paper = "Hinton, Vinyals & Dean 2015, Distilling the knowledge in a neural network, §2"

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return kl_divergence(logits, teacher_logits, temperature)
