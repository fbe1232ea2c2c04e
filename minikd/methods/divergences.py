"""Other distances between the teacher's outputs and the student's, in the place of soft targets' divergence."""

from collections.abc import Sequence
from dataclasses import dataclass

from minikd.losses import jensen_shannon, logit_matching, reverse_kl, soft_cross_entropy
from minikd.methods.logits import LogitMethod, Loss, MixedMethod, mixed
from minikd.settings import setting
from minikd.training.objective import Step, Term
from minikd.typing import Floats, Ints


@dataclass(frozen=True)
class ReverseKL(MixedMethod):
    """KL(student ‖ teacher)."""

    name = "reverse_kl"
    summary = "the divergence the other way round: the student keeps to what the teacher likes best"
    paper = "Gu et al. 2024, MiniLLM: knowledge distillation of large language models, §2"

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return reverse_kl(logits, teacher_logits, temperature)


@dataclass(frozen=True)
class JensenShannon(MixedMethod):
    """Both networks against a mixture of both."""

    name = "jensen_shannon"
    summary = "both are compared with a mixture of both; bounded, between the two divergences"
    paper = "Agarwal et al. 2024, On-policy distillation of language models (GKD), §2"

    beta: float = setting(
        0.5, "the teacher's share of the mixture: towards 0 soft targets, towards 1 reverse_kl", above=0, below=1
    )

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return jensen_shannon(logits, teacher_logits, temperature, self.beta)


@dataclass(frozen=True)
class SoftCrossEntropy(MixedMethod):
    """Soft targets up to a constant."""

    name = "soft_cross_entropy"
    summary = "soft targets as a cross-entropy: the same gradient, at its least the teacher's entropy"
    paper = "Hinton, Vinyals & Dean 2015, Distilling the knowledge in a neural network, §2"

    def soft(self, logits: Floats, teacher_logits: Floats, temperature: float) -> Loss:
        return soft_cross_entropy(logits, teacher_logits, temperature)


@dataclass(frozen=True)
class LogitMatching(LogitMethod):
    """Regression on logits; no temperature."""

    name = "logit_matching"
    summary = "regression on the teacher's centred logits: soft targets of an infinite temperature"
    paper = "Ba & Caruana 2014, Do deep nets really need to be deep?, §2.2; centred"

    alpha: float = setting(0.9, "share of the teacher's term in the loss; the labels have the rest", 0, most=1)

    def terms(self, logits: Floats, teacher_logits: Floats, labels: Ints, step: Step) -> Sequence[Term]:
        return mixed(logit_matching, logits, teacher_logits, labels, self.alpha)
