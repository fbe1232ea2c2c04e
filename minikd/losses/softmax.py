"""Softmax with temperature: logits to probabilities, sharper (T < 1) or softer (T > 1).

    q_k = exp(z_k/T) / Σ_j exp(z_j/T)

Softmax does not change if a constant is added to all logits of a row. So the largest is subtracted first: no exp can
overflow, one is exactly 1, and no sum is 0. The logarithm is computed directly, because log(softmax) is -∞ where q
underflows:

    log q_k = z_k/T - m - log Σ_j exp(z_j/T - m),   m = max_j z_j/T

A logit of -∞ excludes a class, as a mask does. Its q is 0 and its gradient is 0. In a sum of p log q over the classes,
a term with p = 0 counts as 0, its limit, even if log q is -∞. If p is positive and log q is -∞, the sum is infinite.

Derivation of the backward passes. ∂q_k/∂z_j = q_k (δ_kj - q_j)/T, so from dq

    dz_j = Σ_k dq_k q_k (δ_kj - q_j)/T = q_j (dq_j - Σ_k q_k dq_k)/T

and ∂log q_k/∂z_j = (δ_kj - q_j)/T, so from dlogq

    dz_j = (dlogq_j - q_j Σ_k dlogq_k)/T

Both sum to 0 over a row: adding a constant to the logits changes nothing. (An upstream gradient of ones gives 0 and
hides every bug in these lines.)
"""

import math

import numpy as np

from minikd.backends import kernels_of, module_of
from minikd.checks import check_alike, check_float, number
from minikd.errors import ConfigError, ShapeError
from minikd.typing import Array, Floats

LOWEST = 1e-15
"""The lowest temperature, and one over the highest. Beyond them, it or its square is 0 or infinite in float32."""


def check_temperature(temperature: float) -> float:
    """Return the temperature as a Python float, or refuse one that is not a positive, finite number."""
    value = number(temperature)
    if not LOWEST <= value <= 1 / LOWEST:
        raise ConfigError(
            f"temperature is {temperature!r}, but must be a positive number, such as 4.0, within {LOWEST:g} to "
            f"{1 / LOWEST:g}"
        )
    return value


def check_share(weight: float, name: str) -> float:
    """Return the weight of a term as a Python float, or refuse one that is negative or not finite."""
    value = number(weight)
    if not 0.0 <= value < math.inf:
        raise ConfigError(f"{name} is {weight!r}, but must be a number of at least 0: the weight of a term")
    return value


def check_logits(logits: Floats, name: str = "logits") -> None:
    """Refuse anything but a float array (N, K) with N >= 1 samples and K >= 1 classes."""
    if logits.ndim != 2 or 0 in logits.shape:
        raise ShapeError(
            f"{name} has shape {logits.shape}, but must be (N, K): at least one sample, and one value for each class"
        )
    check_float(logits, name)


def check_pair(a: Array, b: Array, a_name: str, b_name: str) -> None:
    """Refuse two arrays that differ in shape, dtype or array library, or are neither float32 nor float64."""
    if a.shape != b.shape:
        raise ShapeError(f"{a_name} has shape {a.shape}, but {b_name} has {b.shape}; they must match, row by row")
    check_alike(a, b, a_name, b_name)
    check_float(a, a_name)


def check_networks(student_logits: Floats, teacher_logits: Floats) -> None:
    """Refuse the logits of two networks unless both are (N, K), of one dtype and array library."""
    check_logits(student_logits, "student_logits")
    check_pair(student_logits, teacher_logits, "student_logits", "teacher_logits")


def log_softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return log q, (N, K), for logits (N, K) at a temperature > 0. It is finite for finite logits.

    A logit of -∞ excludes its class: log q is -∞ there. A row of -∞ only excludes all classes, and gives NaN.
    """
    check_logits(logits)
    temperature = check_temperature(temperature)
    if kernels := kernels_of(logits):
        logq: Floats = kernels.log_softmax(logits, temperature)
        return logq
    xp, z = module_of(logits), logits / temperature
    z -= z.max(1, keepdims=True)
    z -= xp.log(xp.exp(z).sum(1, keepdims=True))
    return z


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return the probabilities q, (N, K), for logits (N, K) at a temperature > 0. Rows sum to 1.

    A logit of -∞ excludes its class: q is 0 there. A row of -∞ only excludes all classes, and gives NaN.
    """
    check_logits(logits)
    xp, z = module_of(logits), logits / check_temperature(temperature)
    q: Floats = xp.exp(z - z.max(1, keepdims=True))
    q /= q.sum(1, keepdims=True)
    return q


def zero_where_impossible(p: Floats, values: Floats) -> Floats:
    """Return the values, with 0 where p is 0. There they must not count in Σ p·values, and 0·∞ would be NaN."""
    kept: Floats = module_of(p).where(p == 0, 0.0, values)
    return kept


def log_ratio(p: Floats, logp: Floats, logq: Floats) -> Floats:
    """Return log p - log q, 0 where p is 0."""
    with np.errstate(invalid="ignore"):  # -∞ + ∞ for a class that both exclude
        ratio: Floats = logp - logq
    kept: Floats = module_of(p).where(p == 0, 0.0, ratio)
    return kept


def softmax_backward(dq: Floats, q: Floats, temperature: float = 1.0) -> Floats:
    """Return dlogits (N, K) from dq, with q = softmax(logits, temperature)."""
    check_pair(dq, q, "dq", "q")
    dz: Floats = q * (dq - (q * dq).sum(1, keepdims=True)) * (1.0 / check_temperature(temperature))
    return dz


def log_softmax_backward(dlogq: Floats, logq: Floats, temperature: float = 1.0) -> Floats:
    """Return dlogits (N, K) from dlogq, with logq = log_softmax(logits, temperature)."""
    check_pair(dlogq, logq, "dlogq", "logq")
    q = module_of(logq).exp(logq)
    dz: Floats = (dlogq - q * dlogq.sum(1, keepdims=True)) * (1.0 / check_temperature(temperature))
    return dz
