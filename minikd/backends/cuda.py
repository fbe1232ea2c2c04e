"""The engine's own kernels for a device: what NumPy does well in several operations, and a device in one launch.

For a small network the launches are what a step costs on a GPU. Each kernel here stands in for the NumPy lines of the
one function that calls it; the suite holds both against each other on every case. A kernel is written for one element
of its result, `i`, counted in row order; it gathers what that element needs, so no two threads write to one place. The
backend gives this module out for CuPy's arrays alone (`backend.kernels_of`), so CuPy is imported here and nowhere else
beside it. CuPy compiles a kernel when it first meets a dtype, T, and keeps it.
"""

import cupy

from minikd.typing import Array, Floats, Ints, Mask, Scalar, Shape

# w ← w − rate · m / (√v + ε), the running means brought up to date before; what is smaller than `tiny` becomes 0.
_adam = cupy.ElementwiseKernel(
    "T g, T beta1, T beta2, T one_less_beta1, T one_less_beta2, T rate, T eps, T shrink, T decay, T tiny",
    "T w, T m, T v",
    """
    w *= shrink;
    T gradient = g + decay * w;
    if (m > -tiny && m < tiny) m = 0;
    if (v < tiny) v = 0;
    m = m * beta1 + gradient * one_less_beta1;
    v = v * beta2 + gradient * gradient * one_less_beta2;
    w -= m / (sqrt(v) + eps) * rate;
    """,
    "minikd_adam",
)


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    betas: tuple[float, float],
    rate: float,
    eps: float,
    shrink: float,
    decay: float,
    tiny: float,
) -> None:
    """Take Adam's or AdamW's step on w, m and v in place; `rate` and `eps` hold the corrections for the bias."""
    beta1, beta2 = betas
    _adam(g, beta1, beta2, 1 - beta1, 1 - beta2, rate, eps, shrink, decay, tiny, w, m, v)


# u ← μ u + g;  w ← w − η u, or w ← w − η (g + μ u).
_sgd = cupy.ElementwiseKernel(
    "T g, T momentum, bool nesterov, T rate, T decay, T tiny",
    "T w, T u",
    """
    T gradient = g + decay * w;
    if (u > -tiny && u < tiny) u = 0;
    u = u * momentum + gradient;
    w -= (nesterov ? u * momentum + gradient : u) * rate;
    """,
    "minikd_sgd",
)

_plain_sgd = cupy.ElementwiseKernel("T g, T rate, T decay", "T w", "w -= (g + decay * w) * rate", "minikd_plain_sgd")


def sgd(
    w: Array, g: Array, velocity: Array | None, momentum: float, nesterov: bool, rate: float, decay: float, tiny: float
) -> None:
    """Take a step of gradient descent on w, and on the velocity where there is momentum, in place."""
    if velocity is None:
        _plain_sgd(g, rate, decay, w)
    else:
        _sgd(g, momentum, nesterov, rate, decay, tiny, w, velocity)


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
    T target = (labels[i / K] == i % K ? 1 - smoothing : T(0)) + smoothing / K;
    term = target == 0 ? T(0) : target * logq;
    dlogits = (exp(logq) - target) * share;
    """,
    "minikd_cross_entropy",
)


def cross_entropy(logits: Floats, labels: Ints, smoothing: float) -> tuple[Scalar, Floats]:
    """Return the mean cross-entropy against class numbers (N,), int64 on the host, and its gradient (N, K)."""
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


_relu_backward = cupy.ElementwiseKernel("T dy, T y", "T dx", "dx = y > 0 ? dy : T(0)", "minikd_relu_backward")


def relu_backward(dy: Floats, y: Floats) -> Floats:
    """Return dy where y is positive, 0 elsewhere."""
    dx: Floats = _relu_backward(dy, y)
    return dx


# One round of max pooling: x is seen as (outer, size, inner), the windows lie along `size`.
_window_max = cupy.ElementwiseKernel(
    "raw T x, int64 size, int64 inner, int64 windows, int64 kernel, int64 stride, int64 padding",
    "T best, W winner",
    """
    long long window = i / inner % windows, start = window * stride;
    long long first = (i / inner / windows * size + start) * inner + i % inner;
    long long pixel = start < padding ? padding - start : 0;  // the window's first that is not padding
    best = x[first + pixel * inner];
    winner = pixel;
    for (long long k = pixel + 1; k < kernel; ++k) {
        T value = x[first + k * inner];
        if (value > best) winner = k;  // strictly larger, so the first of equals stays
        if (value > best || value != value) best = value;
    }
    """,
    "minikd_window_max",
)

# Its backward pass: each pixel asks the windows that hold it whether it won there.
_window_max_backward = cupy.ElementwiseKernel(
    "raw T dbest, raw W winner, int64 size, int64 inner, int64 windows, int64 kernel, int64 stride",
    "T dx",
    """
    long long outer = i / inner / size, place = i / inner % size;
    T sum = 0;
    for (long long k = place % stride; k < kernel && k <= place; k += stride) {
        long long window = (place - k) / stride, at = (outer * windows + window) * inner + i % inner;
        if (window < windows && winner[at] == k) sum += dbest[at];
    }
    dx = sum;
    """,
    "minikd_window_max_backward",
)


def window_max(x: Floats, axis: int, size: int, stride: int, padding: int, windows: int) -> tuple[Floats, Mask]:
    """Return the maximum of each window of x (N, C, H, W) along an axis, and its first pixel's position."""
    first = x[(slice(None),) * axis + (slice(0, stride * (windows - 1) + 1, stride),)]
    best, winner = cupy.empty_like(first), cupy.empty_like(first, "u1" if size <= 256 else "u4")
    _window_max(x, x.shape[axis], _inner(x, axis), windows, size, stride, padding, best, winner)
    return best, winner


def window_max_backward(dbest: Floats, winner: Mask, axis: int, kernel_size: int, stride: int, size: int) -> Floats:
    """Return dx, of length `size` along the axis: each dbest at its winner, summed where windows overlap."""
    N, C, H, W = tuple(size if i == axis else length for i, length in enumerate(dbest.shape))
    dx: Floats = cupy.empty((N, H, W, C), dbest.dtype).transpose(0, 3, 1, 2)
    _window_max_backward(dbest, winner, size, _inner(dx, axis), dbest.shape[axis], kernel_size, stride, dx)
    return dx


def _inner(x: Floats, axis: int) -> int:
    """Return how many elements lie behind one step along the axis, in row order."""
    size = 1
    for length in x.shape[axis + 1 :]:
        size *= length
    return size


# The adjoint of "take windows": each pixel of dx̄ (N, H, W, C) gathers from the rows (N, P, Q, R, S, C) that read it.
_gather_windows = cupy.ElementwiseKernel(
    "raw T dcols, int64 H, int64 W, int64 C, int64 P, int64 Q, int64 R, int64 S, "
    "int64 sy, int64 sx, int64 dy, int64 dx",
    "T dpadded",
    """
    long long c = i % C, column = i / C % W, row = i / C / W % H, n = i / C / W / H;
    T sum = 0;
    for (long long r = 0; r < R; ++r) {
        long long p = row - r * dy;
        if (p < 0 || p % sy || p / sy >= P) continue;
        for (long long s = 0; s < S; ++s) {
            long long q = column - s * dx;
            if (q < 0 || q % sx || q / sx >= Q) continue;
            sum += dcols[((((n * P + p / sy) * Q + q / sx) * R + r) * S + s) * C + c];
        }
    }
    dpadded = sum;
    """,
    "minikd_gather_windows",
)


def gather_windows(
    dcols: Floats, dpadded: Floats, outputs: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> None:
    """Fill dpadded (N, H, W, C) with the sum of what all windows send back to each pixel."""
    _gather_windows(dcols, *dpadded.shape[1:], *outputs, *kernel, *stride, *dilation, dpadded)
