"""The optimisers' steps: one launch on the flat vectors."""

import cupy

from minikd.typing import Array

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
