"""The generalised Jensen-Shannon divergence: teacher and student are each compared with their mixture.

    L = T²/(β(1-β))·(1/N) Σ_n [β KL(p ‖ m) + (1-β) KL(q ‖ m)],   m = βp + (1-β)q,   0 < β < 1

p = softmax(v/T) is the teacher, q = softmax(z/T) the student. m depends on q too. The derivative of the brackets with
respect to q_k is

    -βp (1-β)/m + (1-β)(log(q/m) + 1 - q (1-β)/m) = (1-β)(log(q/m) + 1 - (βp + (1-β)q)/m) = (1-β) log(q/m)

so m's part cancels. Then dq = T²/(βN)·r with r = log(q/m), and softmax's backward pass gives

    dz = T/(βN)·q (r - Σ_k q_k r_k)

Why 1/(β(1-β)). The divergence in brackets, JS_β (Agarwal et al. 2024, GKD, §2), shrinks in proportion to β as β → 0,
and to 1-β as β → 1. Near p = q it is β(1-β)/2 · Σ (p-q)²/p. Divided by β(1-β), it has the same scale for every β:

    β → 0: r → -β(p/q - 1), so dz → T (q - p)/N; L → T² KL(p ‖ q), `kl_divergence`  (for JS_β/β: Huszár 2015)
    β → 1: m → p,                                L → T² KL(q ‖ p), `reverse_kl`
    T → ∞: centred logits are matched, for every β

β = 1/2 is four times the ordinary Jensen-Shannon divergence. KL and reverse KL are unbounded, but JS_β is bounded by
the entropy of (β, 1-β): L <= T²·(-β log β - (1-β) log(1-β))/(β(1-β)), which is 2.77 T² for β = 1/2. So a student that
contradicts its teacher completely gets a small gradient: it is proportional to q.

log m is computed from logarithms alone: log(e^(log β + log p) + e^(log(1-β) + log q)).
"""

import math

from minikd.backends import module_of
from minikd.checks import number
from minikd.errors import ConfigError
from minikd.losses.softmax import check_networks, check_temperature, log_ratio, log_softmax
from minikd.typing import Floats, Scalar


def jensen_shannon(
    student_logits: Floats, teacher_logits: Floats, temperature: float = 4.0, beta: float = 0.5
) -> tuple[Scalar, Floats]:
    """Return T²·JS_β/(β(1-β)), a mean over the batch, and its gradient with respect to the student's logits (N, K).

    Both logits are (N, K), of one dtype; `beta` in 0 to 1, both excluded, is the teacher's share of the mixture. The
    loss is 0 where the student matches the teacher up to a constant in each row. Rounding is about T²·ε/(β(1-β)) in the
    loss and T·ε/β in the gradient: in float32 keep β within 0.001 to 0.999. Raises ShapeError, DtypeError and
    ConfigError (temperature, beta).
    """
    check_networks(student_logits, teacher_logits)
    share = number(beta)
    if not 0.0 < share < 1.0:
        raise ConfigError(
            f"beta is {beta!r}, but must lie between 0 and 1; use kl_divergence for beta = 0, and reverse_kl for "
            "beta = 1"
        )
    xp, N, T = module_of(student_logits), len(student_logits), check_temperature(temperature)
    logp, logq = log_softmax(teacher_logits, T), log_softmax(student_logits, T)
    logm = xp.logaddexp(logp + math.log(share), logq + math.log1p(-share))
    p, q = xp.exp(logp), xp.exp(logq)
    r = log_ratio(q, logq, logm)
    of_student = (q * r).sum(1, keepdims=True)
    of_teacher = p * log_ratio(p, logp, logm)
    loss: Scalar = (of_teacher.sum() / (1.0 - share) + of_student.sum() / share) * (T * T / N)
    return loss, q * (r - of_student) * (T / (share * N))
