"""Softmax and the losses that use it, a row at a time, with one exponential for each logit and no intermediate arrays.

NumPy passes over the logits a dozen times, and each pass takes a microsecond or more. For a batch of 128 rows of ten
logits, this is most of the time. Measured by `minikd bench --only student`.
"""

import numpy as np

from minikd.backends.loops.compiling import kernel
from minikd.typing import Floats, Ints, Scalar


@kernel
def soften(z: Floats, T: Scalar, q: Floats) -> tuple[Scalar, Scalar]:
    """Fill q (K,) with softmax(z/T). Return the largest z/T, and l with log q = z/T - largest - l.

    The largest is NaN if any z is NaN, as for NumPy's maximum.
    """
    largest = z[0] / T
    for k in range(1, z.size):
        value = z[k] / T
        if value > largest or value != value:
            largest = value
    total = z.dtype.type(0)
    for k in range(z.size):
        q[k] = np.exp(z[k] / T - largest)
        total += q[k]
    for k in range(z.size):
        q[k] /= total
    return largest, np.log(total)


def log_softmax(logits: Floats, temperature: float) -> Floats:
    """Return log softmax(logits / temperature), (N, K)."""
    logq = np.empty(logits.shape, logits.dtype)
    _log_softmax(logits, temperature, logq)
    return logq


@kernel
def _log_softmax(logits: Floats, temperature: float, logq: Floats) -> None:
    T = logits.dtype.type(temperature)
    for n in range(len(logits)):
        largest, rest = soften(logits[n], T, logq[n])
        for k in range(logits.shape[1]):
            logq[n, k] = logits[n, k] / T - largest - rest


def cross_entropy(logits: Floats, labels: Ints, smoothing: float) -> tuple[Scalar, Floats]:
    """Return the mean cross-entropy against class numbers (N,), and its gradient (N, K)."""
    dlogits = np.empty(logits.shape, logits.dtype)
    loss = _cross_entropy(logits, labels, smoothing, dlogits)
    return logits.dtype.type(loss), dlogits


@kernel
def _cross_entropy(logits: Floats, labels: Ints, smoothing: float, dlogits: Floats) -> float:
    N, K = logits.shape
    number = logits.dtype.type
    one, zero, share = number(1), number(0), number(1 / N)
    for_label, for_each = number(1 - smoothing), number(smoothing / K)  # t = (1 - ε)·[k is the label] + ε/K
    loss = 0.0
    for n in range(N):
        q = dlogits[n]
        largest, rest = soften(logits[n], one, q)
        for k in range(K):
            target = (for_label if k == labels[n] else zero) + for_each
            if target != zero:
                loss -= target * (logits[n, k] - largest - rest)
            q[k] = (q[k] - target) * share
    return float(loss / N)


def kl_divergence(student_logits: Floats, teacher_logits: Floats, temperature: float) -> tuple[Scalar, Floats]:
    """Return T²·KL(teacher ‖ student), a mean over the batch, and its gradient with respect to student_logits."""
    dlogits = np.empty(student_logits.shape, student_logits.dtype)
    loss = _kl_divergence(student_logits, teacher_logits, temperature, dlogits)
    return student_logits.dtype.type(loss), dlogits


@kernel
def _kl_divergence(student_logits: Floats, teacher_logits: Floats, temperature: float, dlogits: Floats) -> float:
    N, K = student_logits.shape
    number = student_logits.dtype.type
    T, zero, share = number(temperature), number(0), number(temperature / N)
    p = np.empty(K, student_logits.dtype)
    loss = 0.0
    for n in range(N):
        z, v, q = student_logits[n], teacher_logits[n], dlogits[n]
        largest_v, rest_v = soften(v, T, p)
        largest_z, rest_z = soften(z, T, q)
        for k in range(K):
            if p[k] != zero:  # also where it is NaN
                loss += p[k] * ((v[k] / T - largest_v - rest_v) - (z[k] / T - largest_z - rest_z))
            q[k] = (q[k] - p[k]) * share
    return float(loss * temperature * temperature / N)


def distillation_loss(
    student_logits: Floats, teacher_logits: Floats, labels: Ints, temperature: float, alpha: float
) -> tuple[Scalar, Floats]:
    """Return α·T²·KL(teacher ‖ student) + (1 - α)·CE, a mean over the batch, and its gradient (N, K)."""
    dlogits = np.empty(student_logits.shape, student_logits.dtype)
    loss = _distillation_loss(student_logits, teacher_logits, labels, temperature, alpha, dlogits)
    return student_logits.dtype.type(loss), dlogits


@kernel
def _distillation_loss(
    student_logits: Floats,
    teacher_logits: Floats,
    labels: Ints,
    temperature: float,
    alpha: float,
    dlogits: Floats,
) -> float:
    soft = _kl_divergence(student_logits, teacher_logits, temperature, dlogits)
    dhard = np.empty(dlogits.shape, dlogits.dtype)
    hard = _cross_entropy(student_logits, labels, 0.0, dhard)
    a, rest = dlogits.dtype.type(alpha), dlogits.dtype.type(1.0 - alpha)
    for n in range(dlogits.shape[0]):
        for k in range(dlogits.shape[1]):
            dlogits[n, k] = a * dlogits[n, k] + rest * dhard[n, k]
    return alpha * soft + (1.0 - alpha) * hard


def mix(a: Floats, alpha: float, b: Floats, beta: float) -> Floats:
    """Return alpha·a + beta·b, of arrays or of single numbers."""
    mixed: Floats = alpha * a + beta * b
    return mixed
