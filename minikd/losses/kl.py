"""The soft-target loss: Kullback-Leibler divergence from the teacher to the student, both softened by T.

    L = T²·(1/N) Σ_n Σ_k p_nk (log p_nk - log q_nk),   p = softmax(v/T) the teacher, q = softmax(z/T) the student

Only log q depends on z, so dlogq = -T² p/N. The backward pass of log-softmax (each row of p sums to 1) gives

    dz = (T²/N)·(q - p)/T = T (q - p)/N

Why T²: for large T, q - p ≈ (z - z̄ - v + v̄)/(K·T). Without T² the gradient would shrink as 1/T², and the balance
with the hard labels would change with T. With T² it tends to ((z - z̄) - (v - v̄))/(K·N), which matches centred
logits (Hinton, Vinyals & Dean 2015, §2.1, equations 2-4).

The mean is over the batch only. A mean over batch and classes gives a gradient that is K times too small. This is the
most common bug in the field.
"""

from minikd.backends import kernels_of, module_of
from minikd.losses.softmax import check_networks, check_temperature, log_ratio, log_softmax
from minikd.typing import Floats, Scalar


def kl_divergence(student_logits: Floats, teacher_logits: Floats, temperature: float = 4.0) -> tuple[Scalar, Floats]:
    """Return T²·KL(teacher ‖ student), a mean over the batch, and its gradient.

    The gradient is with respect to the student's logits (N, K). Both logits are (N, K), of one dtype. The loss is 0
    only if the student matches the teacher up to a constant in each row. Its rounding error is about T²·ε. In float32
    at T = 1000, the gradient is correct, and the loss is correct to ±0.1. A class that the teacher excludes (a logit of
    -∞) costs nothing. A class that only the student excludes makes the loss infinite. Raises ShapeError, DtypeError and
    ConfigError (temperature).
    """
    check_networks(student_logits, teacher_logits)
    xp, N, T = module_of(student_logits), len(student_logits), check_temperature(temperature)
    loss: Scalar
    dstudent_logits: Floats
    if kernels := kernels_of(student_logits):
        loss, dstudent_logits = kernels.kl_divergence(student_logits, teacher_logits, T)
        return loss, dstudent_logits
    logp, logq = log_softmax(teacher_logits, T), log_softmax(student_logits, T)
    p, q = xp.exp(logp), xp.exp(logq)
    loss = (p * log_ratio(p, logp, logq)).sum() * (T * T / N)
    return loss, (q - p) * (T / N)
