"""Rows scaled to length 1, for losses that compare directions only.

    a = x/‖x‖   for each row x

Derivation. ∂‖x‖/∂x_j = x_j/‖x‖ = a_j, so ∂a_k/∂x_j = δ_kj/‖x‖ - x_k a_j/‖x‖² = (δ_kj - a_k a_j)/‖x‖, and from da

    dx_j = Σ_k da_k (δ_kj - a_k a_j)/‖x‖ = (da_j - a_j Σ_k a_k da_k)/‖x‖

the part of da across the row, over its length: <dx, x> = 0, for a longer row is the same direction.

A row of zeros (every ReLU of a sample off) has no direction, and no derivative there exists. Here its a is 0
and its dx is 0: such a sample is compared as if at a right angle to everything, and is not taught. Rows shorter than
1e-12 count as zeros. (The usual x/max(‖x‖, 1e-12) gives a = 0 as well, but hands da back 10¹² times as large.)
"""

import math

from minikd.backends import module_of
from minikd.checks import check_float
from minikd.losses.softmax import check_pair
from minikd.typing import Floats

SHORTEST = 1e-12
"""The length that a row must exceed to have a direction; its square is far above what underflows in float32."""


def unit_rows(x: Floats) -> tuple[Floats, Floats]:
    """Return the rows of x (..., D) divided by their lengths, and the lengths (..., 1).

    The length of a row of zeros is given as infinite, so that it is divided to 0, forward and backward.
    """
    check_float(x, "unit_rows: x")
    xp = module_of(x)
    length = xp.sqrt((x * x).sum(-1, keepdims=True))
    length = xp.where(length > SHORTEST, length, math.inf)
    return x / length, length


def unit_rows_backward(da: Floats, a: Floats, length: Floats) -> Floats:
    """Return dx (..., D) from da, with a, length = unit_rows(x)."""
    check_pair(da, a, "da", "a")
    dx: Floats = (da - a * (a * da).sum(-1, keepdims=True)) / length
    return dx
