"""Rounding to whole multiples of a step, and its gradient in training.

    y = s q,   q = clip(round(x / s), low, high)

Weights have low = -Q and high = Q, with Q = 127 for int8, 7 for int4, 1 for ternary. Activations after a ReLU have low
= 0 and high = 255. Ties go to the even number, as in the export (`exports.integer`).

The derivative with respect to x is 0 almost everywhere, so nothing could be trained. Write round(x/s) = x/s + r, where
r is the rounding error, between -1/2 and 1/2. The straight-through estimator treats r as a constant (Bengio, Léonard &
Courville 2013). Inside the range, y = s (x/s + r), and outside, y = s low or s high. So

    inside:    ∂y/∂x = 1    ∂y/∂s = r = q - x/s
    outside:   ∂y/∂x = 0    ∂y/∂s = q

The derivative with respect to s is that of LSQ (Esser et al. 2020, Learned step size quantization, eq. 3). LSQ also
divides it by a constant, √(n Q), which SGD needs. Adam, the students' optimiser, already divides by the size of the
gradient.

The export needs steps that are powers of two: s = 2^-k. So k is trained. It is a real number that is rounded too, and
its rounding error is treated as a constant in the same way (Jain, Gural, Wu & Dally 2020, Trained quantization
thresholds):

    s = 2^-round(k)    ∂s/∂k = -ln 2 · s
"""

import math
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.typing import Floats

BYTE = 255
"""The largest whole number of an activation."""


class RoundedCache(NamedTuple):
    """The cache for the backward pass: x/s, q, and the bounds."""

    scaled: Floats
    whole: Floats
    low: float
    high: float


def rounded(x: Floats, step: Floats, low: int, high: int) -> tuple[Floats, RoundedCache]:
    """Return y = step · clip(round(x / step), low, high), of x's shape. `step`, above 0, broadcasts against x."""
    xp = module_of(x)
    scaled: Floats = x / step
    whole: Floats = xp.clip(xp.rint(scaled), low, high)
    return whole * step, RoundedCache(scaled, whole, low, high)


def not_rounded(x: Floats, low: float, high: float) -> tuple[Floats, RoundedCache]:
    """Return y = clip(x, low, high), as if the step were infinitely small, so that its gradient is 0."""
    y: Floats = module_of(x).clip(x, low, high)
    return y, RoundedCache(x, y, low, high)


def rounded_backward(dy: Floats, cache: RoundedCache) -> tuple[Floats, Floats]:
    """Return dx, and the gradient with respect to the step at each element: both of dy's shape."""
    scaled, whole, low, high = cache
    inside = (scaled > low) & (scaled < high)
    dx: Floats = dy * inside
    dstep: Floats = dy * (whole - scaled * inside)
    return dx, dstep


def power_of_two(bits: Floats) -> Floats:
    """Return 2^-round(bits), exact in bits' dtype."""
    xp = module_of(bits)
    step: Floats = xp.ldexp(xp.ones_like(bits), -xp.rint(bits).astype(np.int32))
    return step


def power_of_two_backward(dstep: Floats, step: Floats) -> Floats:
    """Return the gradient with respect to the bits, from that with respect to the step."""
    return dstep * step * -math.log(2)
