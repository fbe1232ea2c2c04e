"""Softmax and the losses made of it, with their gradients."""

import cupy

from minikd.typing import Floats, Ints, Scalar

# A thread a row: the largest logit, the sum of the exponentials, the row. Fine for some hundred classes.
_log_softmax = cupy.ElementwiseKernel(
    "raw T z, T temperature, int64 K",
    "raw T logq",
    """
    T largest = z[i * K] / temperature, sum = 0;
    for (long long k = 1; k < K; ++k) {
        T value = z[i * K + k] / temperature;
        if (value > largest || value != value) largest = value;
    }
    for (long long k = 0; k < K; ++k) sum += exp(z[i * K + k] / temperature - largest);
    T rest = log(sum);
    for (long long k = 0; k < K; ++k) logq[i * K + k] = z[i * K + k] / temperature - largest - rest;
    """,
    "minikd_log_softmax",
)


def log_softmax(logits: Floats, temperature: float) -> Floats:
    """Return log softmax(logits / temperature), (N, K)."""
    logq: Floats = cupy.empty(logits.shape, logits.dtype)
    _log_softmax(logits, temperature, logits.shape[1], logq, size=len(logits))
    return logq


# t_nk = (1 − ε)·[k is the label] + ε/K: the term t log q of the sum, and dlogits = (q − t)/N.
_cross_entropy = cupy.ElementwiseKernel(
    "T logq, raw int64 labels, int64 K, T smoothing, T share",
    "T term, T dlogits",
    """
    long long label = labels[i / K];
    T target = label < 0 || label >= K ? T(NAN) : (label == i % K ? 1 - smoothing : T(0)) + smoothing / K;
    term = target == 0 ? T(0) : target * logq;
    dlogits = (exp(logq) - target) * share;
    """,
    "minikd_cross_entropy",
)


def cross_entropy(logits: Floats, labels: Ints, smoothing: float) -> tuple[Scalar, Floats]:
    """Return the mean cross-entropy against class numbers (N,), int64, and its gradient (N, K).

    Labels that lie on the device were not looked at: one out of range makes the loss NaN.
    """
    N, K = logits.shape
    logq = log_softmax(logits, 1.0)
    term, dlogits = _cross_entropy(logq, cupy.asarray(labels), K, smoothing, 1.0 / N)
    return term.sum() / -N, dlogits


# T²·p (log p − log q), and T (q − p)/N.
_kl = cupy.ElementwiseKernel(
    "T logp, T logq, T share",
    "T term, T dlogits",
    """
    T p = exp(logp);
    term = p == 0 ? T(0) : p * (logp - logq);
    dlogits = (exp(logq) - p) * share;
    """,
    "minikd_kl",
)


def kl_divergence(student_logits: Floats, teacher_logits: Floats, temperature: float) -> tuple[Scalar, Floats]:
    """Return T²·KL(teacher ‖ student), a mean over the batch, and its gradient with respect to student_logits."""
    N, T = len(student_logits), temperature
    term, dlogits = _kl(log_softmax(teacher_logits, T), log_softmax(student_logits, T), T / N)
    return term.sum() * (T * T / N), dlogits


# α a + β b
_mix = cupy.ElementwiseKernel("T a, T b, T alpha, T beta", "T mixed", "mixed = alpha * a + beta * b", "minikd_mix")


def mix(a: Floats, alpha: float, b: Floats, beta: float) -> Floats:
    """Return alpha·a + beta·b."""
    mixed: Floats = _mix(a, b, alpha, beta)
    return mixed
