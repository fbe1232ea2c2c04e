"""The rules of the optimisers as one loop over the weights. Every array is read once and written once.

NumPy needs a dozen passes, each a separate loop over a block. Measured by `minikd bench --only baseline`.
"""

import numpy as np

from minikd.backends.loops.compiling import kernel, wide
from minikd.typing import Floats


def adam(
    w: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    betas: tuple[float, float],
    rate: float,
    eps: float,
    shrink: float,
    decay: float,
    tiny: float,
) -> None:
    """Take Adam's or AdamW's step on w, m and v in place. `rate` and `eps` include the bias corrections."""
    beta1, beta2 = betas
    _adam(w, g, m, v, beta1, beta2, 1 - beta1, 1 - beta2, rate, eps, shrink, decay, tiny)


@kernel
def _adam(
    w: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    beta1: float,
    beta2: float,
    one_less_beta1: float,
    one_less_beta2: float,
    rate: float,
    eps: float,
    shrink: float,
    decay: float,
    tiny: float,
) -> None:
    wide()
    T = w.dtype.type  # all in float32, because one float64 operand would make every operation float64
    b1, b2, c1, c2 = T(beta1), T(beta2), T(one_less_beta1), T(one_less_beta2)
    step, least, kept, pull, small, zero = T(rate), T(eps), T(shrink), T(decay), T(tiny), T(0)
    for i in range(w.size):
        p = w[i] * kept
        gradient = g[i] + pull * p if decay else g[i]  # 0 times an infinite weight would be NaN
        mean = zero if abs(m[i]) < small else m[i]
        square = zero if v[i] < small else v[i]
        mean = mean * b1 + gradient * c1
        square = square * b2 + gradient * gradient * c2
        m[i] = mean
        v[i] = square
        w[i] = p - mean / (np.sqrt(square) + least) * step


def sgd(
    w: Floats,
    g: Floats,
    velocity: Floats | None,
    momentum: float,
    nesterov: bool,
    rate: float,
    decay: float,
    tiny: float,
) -> None:
    """Take a step of gradient descent on w in place; with momentum, on the velocity too."""
    if velocity is None:
        _plain_sgd(w, g, rate, decay)
    else:
        _sgd(w, g, velocity, momentum, nesterov, rate, decay, tiny)


@kernel
def _sgd(
    w: Floats, g: Floats, u: Floats, momentum: float, nesterov: bool, rate: float, decay: float, tiny: float
) -> None:
    wide()
    T = w.dtype.type
    mu, step, pull, small, zero = T(momentum), T(rate), T(decay), T(tiny), T(0)
    for i in range(w.size):
        gradient = g[i] + pull * w[i] if decay else g[i]
        velocity = zero if abs(u[i]) < small else u[i]
        velocity = velocity * mu + gradient
        u[i] = velocity
        w[i] -= (velocity * mu + gradient if nesterov else velocity) * step


@kernel
def _plain_sgd(w: Floats, g: Floats, rate: float, decay: float) -> None:
    wide()
    T = w.dtype.type
    step, pull = T(rate), T(decay)
    for i in range(w.size):
        gradient = g[i] + pull * w[i] if decay else g[i]
        w[i] -= gradient * step
