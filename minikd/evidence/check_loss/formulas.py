"""Gradients of known losses with respect to the student's logits: right losses, and bugs that people write.

    right:  L = w_s·T²/N Σ p (log p - log q) + w_h·CE(z, y),   p = softmax(v/T), q = softmax(z/T)

Each function returns the gradient of one term, (N, K), with the right factor. So the direction of a loss's gradient
identifies the formula, and its length shows a wrong factor.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minikd.losses import (
    jensen_shannon,
    kl_divergence,
    log_softmax,
    log_softmax_backward,
    logit_matching,
    reverse_kl,
    softmax,
    softmax_backward,
)
from minikd.typing import Floats, Ints

SoftGradient = Callable[[Floats, Floats, float], Floats]
"""(student's logits, teacher's logits, T) -> the gradient of the teacher's term."""

HardGradient = Callable[[Floats, Ints, float], Floats]
"""(student's logits, labels, T) -> the gradient of the labels' term."""


class Formula(NamedTuple):
    """A term of a loss. `cause` names the bug in `causes.CAUSES`; "" for a right term."""

    name: str
    cause: str
    gradient: SoftGradient


class HardFormula(NamedTuple):
    """The term of the labels, like `Formula`."""

    name: str
    cause: str
    gradient: HardGradient


def kl_gradient(q_logits: Floats, p: Floats, T: float) -> Floats:
    """Return the gradient of T²/N Σ p (log p - log q), with q = softmax(q_logits) and q_logits = z/T: T (q - p)/N."""
    gradient: Floats = (softmax(q_logits) * p.sum(1, keepdims=True) - p) * (T / len(p))
    return gradient


def through_softmax(z: Floats, p: Floats, T: float, inner: float) -> Floats:
    """Return the gradient of a mistake: probabilities at temperature `inner` are used as logits and divided by T."""
    probabilities = softmax(z, inner)
    d_probabilities = kl_gradient(probabilities / T, p, T)  # softmax_backward contains the factor 1/inner
    return softmax_backward(d_probabilities, probabilities, inner)


def probabilities_for_logs(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of T²/N Σ p (log p - q)."""
    return softmax_backward(-softmax(v, T) * (T * T / len(z)), softmax(z, T), T)


def log_as_target(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of T²/N Σ t (log t - log q) with t = log p instead of t = p."""
    return log_softmax_backward(-log_softmax(v, T) * (T * T / len(z)), log_softmax(z, T), T)


def probabilities_as_log_target(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of T²/N Σ t (log t - log q) with t = exp(p) instead of t = p."""
    return log_softmax_backward(-np.exp(softmax(v, T)) * (T * T / len(z)), log_softmax(z, T), T)


def swapped_cross_entropy(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of -T²/N Σ q log p."""
    return softmax_backward(-log_softmax(v, T) * (T * T / len(z)), softmax(z, T), T)


def logits_for_logs(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of T²/N Σ p (log p - z/T)."""
    gradient: Floats = -softmax(v, T) * (T / len(z))
    return gradient


def softmax_over_the_batch(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient if softmax is over the samples."""
    rows: Floats = kl_gradient(z.T / T, softmax(v.T, T), T).T * (z.shape[1] / len(z))
    return rows


def softmax_over_everything(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient if softmax is over samples and classes together."""
    flat = kl_gradient(z.reshape(1, -1) / T, softmax(v.reshape(1, -1), T), T) / len(z)
    return flat.reshape(z.shape)


def student_over_the_batch(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient if only the student's softmax is over the samples."""
    rows: Floats = log_softmax_backward(-softmax(v, T).T * (T * T / len(z)), log_softmax(z.T, T), T).T
    return rows


def probability_matching(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of T²/N Σ (q - p)²/2."""
    q = softmax(z, T)
    return softmax_backward((q - softmax(v, T)) * (T * T / len(z)), q, T)


def plain_logit_matching(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of half the mean squared difference of the logits (Ba & Caruana 2014)."""
    gap: Floats = (z - v) / z.size
    return gap


def teachers_class(z: Floats, v: Floats, T: float) -> Floats:
    """Return the gradient of the cross-entropy with the teacher's class as the label (Touvron et al. 2021)."""
    return cross_entropy_at(z, v.argmax(1), 1.0)


def one_hot(labels: Ints, classes: int) -> Floats:
    """Return the one-hot rows of the labels, (N, K)."""
    rows: Floats = (labels[:, None] == np.arange(classes)).astype(np.float64)
    return rows


def cross_entropy_at(z: Floats, y: Ints, T: float) -> Floats:
    """Return the gradient of CE(z/T, y), times T: (q - y)/N with q = softmax(z/T)."""
    gradient: Floats = (softmax(z, T) - one_hot(y, z.shape[1])) / len(z)
    return gradient


HARD_TEACHER = Formula("CE(student, the teacher's class)", "", teachers_class)
"""Hard distillation. Its gradient is not 0 where the student equals the teacher."""

RIGHT = (
    Formula("KL(teacher ‖ student)", "", lambda z, v, T: kl_divergence(z, v, T)[1]),
    Formula("Jensen-Shannon divergence", "", lambda z, v, T: jensen_shannon(z, v, T)[1]),
    Formula("squared difference of the logits", "", plain_logit_matching),
    Formula("squared difference of the centred logits", "", lambda z, v, T: logit_matching(z, v)[1]),
    Formula("squared difference of the probabilities", "", probability_matching),
    HARD_TEACHER,
)

WRONG = (
    Formula("KL(student ‖ teacher)", "swapped-arguments", lambda z, v, T: reverse_kl(z, v, T)[1]),
    Formula("-Σ q log p, with the student's q and the teacher's p", "swapped-arguments", swapped_cross_entropy),
    Formula("-Σ p q", "probabilities-for-logs", probabilities_for_logs),
    Formula("KL with log p as the target", "log-as-target", log_as_target),
    Formula("KL with exp(p) as the target", "probabilities-as-log-target", probabilities_as_log_target),
    Formula("-Σ p z, the student's logits without softmax", "logits-for-logs", logits_for_logs),
    Formula("KL over the batch", "wrong-axis", softmax_over_the_batch),
    Formula("KL over batch and classes", "wrong-axis", softmax_over_everything),
    Formula("KL, the student's softmax over the batch", "wrong-axis", student_over_the_batch),
    Formula("KL, the teacher not softened", "one-temperature", lambda z, v, T: kl_gradient(z / T, softmax(v), T)),
    Formula("KL, the student not softened", "one-temperature", lambda z, v, T: kl_gradient(z, softmax(v, T), T)),
    *(
        Formula(f"KL, {who} softmax of a softmax", "double-softmax", gradient)
        for who, gradient in (
            ("the teacher's", lambda z, v, T: kl_gradient(z / T, softmax(softmax(v), T), T)),
            ("the teacher's", lambda z, v, T: kl_gradient(z / T, softmax(softmax(v, T)), T)),
            ("the teacher's", lambda z, v, T: kl_gradient(z / T, softmax(softmax(v, T), T), T)),
            ("the student's", lambda z, v, T: through_softmax(z, softmax(v, T), T, 1.0)),
            ("the student's", lambda z, v, T: through_softmax(z, softmax(v, T), 1.0, T)),
            ("the student's", lambda z, v, T: through_softmax(z, softmax(v, T), T, T)),
            ("both networks'", lambda z, v, T: through_softmax(z, softmax(softmax(v), T), T, 1.0)),
            ("both networks'", lambda z, v, T: through_softmax(z, softmax(softmax(v, T)), 1.0, T)),
        )
    ),
)


def cross_entropy_of_softmax(z: Floats, y: Ints, T: float) -> Floats:
    """Return the gradient of CE(softmax(z), y), which takes softmax twice."""
    q = softmax(z)
    return softmax_backward(cross_entropy_at(q, y, 1.0), q, 1.0)


HARD = (
    HardFormula("CE(student, labels)", "", lambda z, y, T: cross_entropy_at(z, y, 1.0)),
    HardFormula("CE of a softmax", "labels-double-softmax", cross_entropy_of_softmax),
    HardFormula("CE at temperature T", "softened-labels", cross_entropy_at),
)


def smoothing(z: Floats) -> Floats:
    """Return the gradient's part from label smoothing, for ε = 1; the other part is in `HARD`.

    With the target (1 - ε) onehot + ε/K, the gradient is (1 - ε)·(q - onehot)/N + ε·(q - 1/K)/N. This is the second
    part.
    """
    gradient: Floats = (softmax(z) - 1 / z.shape[1]) / len(z)
    return gradient
