"""Methods with another distance between the outputs than the KL divergence of soft targets."""

from collections.abc import Sequence
from dataclasses import dataclass

from minikd.data import Batch
from minikd.losses import jensen_shannon, logit_matching, reverse_kl, soft_cross_entropy
from minikd.methods.logits import LogitMethod, Loss, MixedMethod, mixed
from minikd.settings import setting
from minikd.training.objective import Answer, Step, Term
from minikd.typing import Floats


@dataclass(frozen=True)
class ReverseKL(MixedMethod):
    """KL(student ‖ teacher)."""

    name = "reverse_kl"
    summary = "KL(student ‖ teacher): the divergence reversed"
    paper = "Gu et al. 2024, MiniLLM: knowledge distillation of large language models, §2"

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return reverse_kl(logits, teacher_logits, temperature)


@dataclass(frozen=True)
class JensenShannon(MixedMethod):
    """The generalised Jensen-Shannon divergence: both networks are compared with their mixture."""

    name = "jensen_shannon"
    summary = "a bounded divergence, between KL and reverse KL"
    paper = "Agarwal et al. 2024, On-policy distillation of language models (GKD), §2"

    beta: float = setting(
        0.5, "the teacher's share of the mixture: towards 0 soft targets, towards 1 reverse_kl", above=0, below=1
    )

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return jensen_shannon(logits, teacher_logits, temperature, self.beta)


@dataclass(frozen=True)
class SoftCrossEntropy(MixedMethod):
    """Cross-entropy with soft targets: the KL divergence plus a constant."""

    name = "soft_cross_entropy"
    summary = "cross-entropy with the teacher's probabilities"
    paper = "Hinton, Vinyals & Dean 2015, Distilling the knowledge in a neural network, §2"

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return soft_cross_entropy(logits, teacher_logits, temperature)


@dataclass(frozen=True)
class LogitMatching(LogitMethod):
    """Regression on the teacher's logits, without a temperature."""

    name = "logit_matching"
    summary = "squared difference of the centred logits"
    paper = "Ba & Caruana 2014, Do deep nets really need to be deep?, §2.2; centred"

    alpha: float = setting(0.9, "weight of the teacher's term in the loss; that of the labels is 1 - alpha", 0, most=1)

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        return mixed(logit_matching, student.logits, teacher.logits, batch.labels, self.alpha)
