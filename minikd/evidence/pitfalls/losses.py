"""Bugs in the loss, each next to the right line. All but one have the right gradient of their wrong value.

    right:  L = T²·(1/N) Σ_n Σ_k p_nk (log p_nk - log q_nk),   dz = T (q - p)/N

with q = softmax(z/T) of the student, p = softmax(v/T) of the teacher, over N samples and K classes.
"""

from minikd.backends import module_of
from minikd.evidence.pitfalls.wiring import Conditions, Pitfall, Sighting, Wiring
from minikd.losses import log_softmax, softmax, softmax_backward
from minikd.typing import Floats, Scalar

LossAndGradient = tuple[Scalar, Floats]

TORCHDISTILL = (
    "https://github.com/yoshitomo-matsubara/torchdistill/blob/01038e7a81b9920a861dd163114f9c70f43c20f5/torchdistill"
)
KD_LIB = "https://github.com/SforAiDl/KD_Lib/blob/0b8525b6aacf98e3464520ef629b4a4f16ff69a4/KD_Lib"


def sum_of_kl(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """Return Σ_n Σ_k p (log p - log q) and its gradient, (q - p)/T. The functions below scale both."""
    logq, logp = log_softmax(z, T), log_softmax(v, T)
    xp = module_of(z)
    q, p = xp.exp(logq), xp.exp(logp)
    total: Scalar = (p * (logp - logq)).sum()
    return total, (q - p) / T


def class_mean(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """A mean over batch and classes, because that is PyTorch's default, reduction="mean"."""
    (total, dz), (N, K) = sum_of_kl(z, v, T), z.shape
    return total * (T * T / (N * K)), dz * (T * T / (N * K))  # right: T * T / N


def no_t_squared(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """The formula without T², which the paper mentions only in a sentence below it (Hinton et al. 2015, §2)."""
    total, dz = sum_of_kl(z, v, T)
    return total * (1.0 / len(z)), dz * (1.0 / len(z))  # right: T * T / N


def gradient_apart(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """The gradient is that of cross-entropy at temperature 1, (q - p)/N: the factor T is missing."""
    total, dz = sum_of_kl(z, v, T)
    return total * (T * T / len(z)), dz * (T / len(z))  # right: dz * T * T / N, because dz contains 1/T


def probabilities_for_logs(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """kl_div(softmax(z), p): the first argument must be log-probabilities, but is probabilities.

    L = T²/N Σ p (log p - q), so dq = -T² p/N.
    """
    q, p, N = softmax(z, T), softmax(v, T), len(z)
    loss: Scalar = (p * (log_softmax(v, T) - q)).sum() * (T * T / N)  # right: log_softmax(z, T) for q
    return loss, softmax_backward(p * (-T * T / N), q, T)


def softened_twice(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """The teacher returns probabilities. The loss expects logits and takes softmax again."""
    total, dz = sum_of_kl(z, softmax(v), T)  # right: v
    return total * (T * T / len(z)), dz * (T * T / len(z))


def over_the_batch(z: Floats, v: Floats, T: float) -> LossAndGradient:
    """softmax(x, dim=0): the columns also sum to 1, so there is no error."""
    total, dz = sum_of_kl(z.T, v.T, T)  # right: z, v
    return total * (T * T / len(z)), dz.T * (T * T / len(z))


LOSSES = (
    Pitfall(
        "class-mean",
        "losses",
        "the mean over batch and classes, not over the batch",
        'By default, PyTorch\'s KLDivLoss divides by batch and classes. The divergence needs reduction="batchmean".',
        "The teacher's term is K times too weak. If there is a term for labels, it dominates, whatever alpha is. If "
        "there is none, the bug only divides the learning rate by K, and Adam's steps do not change.",
        Wiring(class_mean, class_mean),
        "formula",
        (
            Sighting(
                "https://github.com/haitongli/knowledge-distillation-pytorch/issues/48", "on 'mean' and 'batchmean'"
            ),
            Sighting("https://github.com/facebookresearch/deit/issues/61", "on 'mean' and 'batchmean'"),
        ),
    ),
    Pitfall(
        "no-t-squared",
        "losses",
        "the soft term without T²",
        "The paper's formula of the soft term lacks T². A later sentence says to multiply by it.",
        "The teacher's gradient shrinks as 1/T²: at a high temperature, the student learns mostly from the labels.",
        Wiring(no_t_squared, no_t_squared),
        "high temperature",
        (
            Sighting("https://github.com/keras-team/keras-io/issues/869", "the official Keras example lacked it"),
            Sighting("https://github.com/IntelLabs/distiller/issues/122", "reported, and fixed"),
        ),
    ),
    Pitfall(
        "t-squared-one-branch",
        "losses",
        "T² for images with a label, none for those without",
        "A function has two branches, with and without labels, and only one of them has the factor.",
        "Images without labels learn only from the teacher. In a mixed transfer set, they hardly count.",
        Wiring(bare=no_t_squared),
        "without labels",
        (
            Sighting(
                f"{TORCHDISTILL}/losses/mid_level.py",
                "at this commit, KDLoss returns the soft term without T² if alpha is 0 or there are no targets",
            ),
        ),
        Conditions(labelled=0.5),
    ),
    Pitfall(
        "gradient-apart",
        "losses",
        "the value is right, the gradient lacks the factor T",
        "A gradient written by hand is copied from the loss at temperature 1, where it is q - p.",
        "The gradient is not that of the printed loss: it is T times too weak, and no plot shows it.",
        Wiring(gradient_apart, gradient_apart),
        "gradient check",
        (
            Sighting(
                "https://github.com/borgwang/tinynn",
                "at commit 0fb0f94, the gradient in its distillation example is T times that of its loss",
            ),
        ),
    ),
    Pitfall(
        "probabilities-for-logs",
        "losses",
        "probabilities instead of log-probabilities",
        "KLDivLoss takes log_softmax first and softmax second. This looks like a mistake, so people use softmax twice.",
        "It minimises -Σ p q: the student learns the teacher's most probable class, and learns almost nothing where it "
        "is sure and wrong. A student equal to its teacher still has a gradient.",
        Wiring(probabilities_for_logs, probabilities_for_logs),
        "zero at the teacher",
        (
            Sighting(
                "https://github.com/microsoft/ProDA/issues/43", "softmax instead of log_softmax; the author agrees"
            ),
            Sighting("https://github.com/haitongli/knowledge-distillation-pytorch/issues/41", "asks why they differ"),
        ),
    ),
    Pitfall(
        "double-softmax",
        "losses",
        "softmax of the teacher's probabilities",
        "The teacher ends in a softmax layer, or its answers were saved as probabilities.",
        "Probabilities lie between 0 and 1, so their softmax is nearly uniform: the targets say almost nothing, and T² "
        "gives them weight. The student learns to be unsure.",
        Wiring(softened_twice, softened_twice),
        "zero at the teacher",
        (
            Sighting(
                f"{KD_LIB}/KD/vision/RCO/rco.py",
                "takes softmax before cross_entropy, which takes it again (of the student, in the labels' term)",
            ),
            Sighting("https://github.com/tflearn/tflearn/pull/562", "softmax in the last layer and in the loss; fixed"),
        ),
    ),
    Pitfall(
        "wrong-axis",
        "losses",
        "softmax over the batch instead of the classes",
        "dim=0 is the first axis. The columns also sum to 1, so there is no error.",
        "It compares samples within a class. The target of a sample depends on the other samples in its batch.",
        Wiring(over_the_batch, over_the_batch),
        "each sample alone",
        (
            Sighting("https://github.com/MicrosoftDocs/pytorchfundamentals/issues/4", "LogSoftmax(dim=0) in a course"),
            Sighting("https://github.com/Lackel/DPN/issues/1", "softmax in dim 0; the author agrees"),
        ),
    ),
)
