"""Soft targets with a learned temperature: the divergence, and its gradient with respect to T.

    L = T²·(1/N) Σ_n D_n(T),   D = Σ_k p_k (log p_k - log q_k),   p = softmax(v/T), q = softmax(z/T)

The gradient with respect to z is that of `kl_divergence`. With respect to T, from log p_k = v_k/T - log Σ_j e^(v_j/T),

    ∂log p_k/∂T = -(v_k - E_p v)/T²,   ∂log q_k/∂T = -(z_k - E_q z)/T²,   E_p v = Σ_k p_k v_k

In D's derivative Σ p ∂log p = 0, because probabilities sum to 1. Since ∂p = p ∂log p, the rest is

    ∂D/∂T = Σ_k ∂p_k (log p_k - log q_k) - Σ_k p_k ∂log q_k/∂T
          = (1/T²)·[E_p z - E_q z - Cov_p(v, log p - log q)]

v = T log p and z = T log q up to a constant in each row, which changes neither a covariance nor the difference of two
means. With dL/dT = 2T D + T² ∂D/∂T,

    dT = (T/N) Σ_n [2D + Σ_k (p_k - q_k) log q_k - Cov_p(log p, log p - log q)]

This formula has small numbers only; with the logits themselves, large numbers would cancel.

CTKD (Li et al. 2023, its Global-T) sets T = 1 + 20·sigmoid(θ), and moves θ up the gradient: the task gets harder as the
student learns. dθ = dT·(T - 1)(21 - T)/20; the method reverses its sign and multiplies it by λ, which rises from 0 to 1
on a cosine (the curriculum).
"""

from minikd.backends import module_of
from minikd.losses.softmax import check_networks, check_temperature, log_ratio, log_softmax, zero_where_impossible
from minikd.typing import Floats, Scalar


def kl_with_temperature(
    student_logits: Floats, teacher_logits: Floats, temperature: float
) -> tuple[Scalar, Floats, Scalar]:
    """Return T²·KL(teacher ‖ student), a mean over the batch, and its gradients.

    The gradients are with respect to the student's logits and to T. Both logits are (N, K), of one dtype, and so is the
    first gradient; it and the value are `kl_divergence`'s. The gradient with respect to T tends to 0 as T grows (the
    loss tends to `logit_matching`), while its rounding error is about T·ε·log K: in float32 it is noise beyond T = 100
    or so. Finite for all finite logits. Raises ShapeError, DtypeError and ConfigError (temperature).
    """
    check_networks(student_logits, teacher_logits)
    xp, N, T = module_of(student_logits), len(student_logits), check_temperature(temperature)
    logp, logq = log_softmax(teacher_logits, T), log_softmax(student_logits, T)
    p, q = xp.exp(logp), xp.exp(logq)
    gap, logp, logq = log_ratio(p, logp, logq), zero_where_impossible(p, logp), zero_where_impossible(p + q, logq)
    divergence = (p * gap).sum()
    loss: Scalar = divergence * (T * T / N)
    deviation = logp - (p * logp).sum(1, keepdims=True)
    slopes = (p - q) * logq - p * deviation * gap
    dtemperature: Scalar = (2.0 * divergence + slopes.sum()) * (T / N)
    return loss, (q - p) * (T / N), dtemperature
