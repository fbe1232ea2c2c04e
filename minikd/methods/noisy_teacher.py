"""Soft targets with noise on the teacher's logits, which regularises the student.

    v' = (1 + ξ)·v,   ξ ~ N(0, σ²) for each logit, for a random share of the batch's samples

The noise does not depend on the student, so the gradient is that of soft targets from v': T (q - softmax(v'/T))/N. Each
step has its own random generator, so a repeated or resumed run has the same noise and the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minikd.backends import module_of
from minikd.data import Batch
from minikd.losses import kl_divergence
from minikd.methods.logits import Loss, MixedMethod
from minikd.settings import setting
from minikd.training.objective import Answer, Step, Term
from minikd.typing import Floats


@dataclass(frozen=True)
class NoisyTeacher(MixedMethod):
    """Noise on the teacher's logits."""

    name = "noisy_teacher"
    summary = "soft targets from a teacher with noise on its logits"
    paper = "Sau & Balasubramanian 2016, Deep model compression: distilling knowledge from noisy teachers"

    sigma: float = setting(0.3, "standard deviation of the noise, relative to each logit", 0)
    share: float = setting(0.5, "share of a batch's samples that get noise", 0, most=1)

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return kl_divergence(logits, teacher_logits, temperature)

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        teacher_logits = teacher.logits
        noise = self.sigma * step.rng.standard_normal(teacher_logits.shape)
        disturbed = step.rng.random((len(teacher_logits), 1)) < self.share
        factor = module_of(teacher_logits).asarray((1.0 + noise * disturbed).astype(teacher_logits.dtype.name))
        return super().terms(student, Answer(teacher_logits * factor), batch, step)
