"""The reverse KL divergence: from the student to the teacher, both softened by T.

    L = T²·(1/N) Σ_n Σ_k q_nk r_nk,   r = log q - log p,   p = softmax(v/T) the teacher, q = softmax(z/T) the student

q is the weight and is also in the logarithm, so dq = (T²/N)·(r + 1). Softmax's backward pass, (1/T)·q (dq - Σ q
dq), removes the 1, which is the same for all classes:

    dz = (T/N)·q (r - Σ_k q_k r_k)

KL(p ‖ q) is large where the teacher finds a class likely and the student does not. So its student spreads over all
classes that the teacher finds possible. KL(q ‖ p) is large where the student finds a class likely and the teacher
does not. So its student keeps to the teacher's most likely classes (Gu et al. 2024, MiniLLM, §2). But a class with q
= 0 gets no gradient. Near p = q both are equal to second order; so for large T both match centred logits.

log p is the log-softmax of the teacher's logits. The common log(softmax + 1e-8) is wrong for the classes that the
teacher excludes, and these count most here.
"""

from minikd.backends import module_of
from minikd.losses.softmax import check_networks, check_temperature, log_ratio, log_softmax
from minikd.typing import Floats, Scalar


def reverse_kl(student_logits: Floats, teacher_logits: Floats, temperature: float = 4.0) -> tuple[Scalar, Floats]:
    """Return T²·KL(student ‖ teacher), a mean over the batch, and its gradient.

    The gradient is with respect to the student's logits (N, K). Both logits are (N, K), of one dtype. The loss is 0
    where the student matches the teacher up to a constant in each row and rounding of about T²·ε. In float32 the
    gradient is accurate up to T = 1000. Finite for all finite logits: a confident student that contradicts its teacher
    costs about T times the gap between the logits. A class that the student excludes (a logit of -∞) costs nothing; one
    that only the teacher excludes makes the loss infinite, which has no gradient (NaN). Raises ShapeError, DtypeError
    and ConfigError (temperature).
    """
    check_networks(student_logits, teacher_logits)
    xp, N, T = module_of(student_logits), len(student_logits), check_temperature(temperature)
    logp, logq = log_softmax(teacher_logits, T), log_softmax(student_logits, T)
    q = xp.exp(logq)
    r = log_ratio(q, logq, logp)
    divergences = (q * r).sum(1, keepdims=True)
    loss: Scalar = divergences.sum() * (T * T / N)
    return loss, q * (r - divergences) * (T / N)
