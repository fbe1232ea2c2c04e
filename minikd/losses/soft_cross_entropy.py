"""Cross-entropy with the teacher's softened probabilities instead of labels.

    L = -T²·(1/N) Σ_n Σ_k p_nk log q_nk,   p = softmax(v/T) the teacher, q = softmax(z/T) the student

Only log q depends on z, so dlogq = -T² p/N, and log-softmax's backward pass (rows of p sum to 1) gives

    dz = T (q - p)/N

This is the objective that Hinton, Vinyals & Dean 2015, §2, describe, with T². It is KL(p ‖ q) plus the teacher's
entropy H(p), which the student cannot change. So the gradient is that of `kl_divergence`, but the loss of a perfect
student is T²·H(p) instead of 0, and depends on T and the teacher. Compare two runs by the divergence.
"""

from minikd.backends import module_of
from minikd.losses.softmax import check_networks, check_temperature, log_softmax, softmax, zero_where_impossible
from minikd.typing import Floats, Scalar


def soft_cross_entropy(
    student_logits: Floats, teacher_logits: Floats, temperature: float = 4.0
) -> tuple[Scalar, Floats]:
    """Return T² times the cross-entropy with the teacher, a batch mean, and its gradient.

    The gradient is with respect to the student's logits (N, K). Both logits are (N, K), of one dtype. The smallest
    value is T² times the teacher's entropy. It is finite for all finite logits, and infinite if the student
    excludes a class (a logit of -∞) that the teacher does not. In float32, the error is about T²·ε·log K. Raises
    ShapeError, DtypeError and ConfigError (temperature).
    """
    check_networks(student_logits, teacher_logits)
    N, T = len(student_logits), check_temperature(temperature)
    p, logq = softmax(teacher_logits, T), log_softmax(student_logits, T)
    loss: Scalar = (p * zero_where_impossible(p, logq)).sum() * (-T * T / N)
    return loss, (module_of(logq).exp(logq) - p) * (T / N)
