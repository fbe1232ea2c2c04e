"""Rows scaled to length 1, for losses that compare directions only.

    a = x/‖x‖   for each row x

Derivation. ∂‖x‖/∂x_j = x_j/‖x‖ = a_j, so ∂a_k/∂x_j = δ_kj/‖x‖ - x_k a_j/‖x‖² = (δ_kj - a_k a_j)/‖x‖, and from da

    dx_j = Σ_k da_k (δ_kj - a_k a_j)/‖x‖ = (da_j - a_j Σ_k a_k da_k)/‖x‖

dx is the part of da that is orthogonal to the row, divided by the row's length. So <dx, x> = 0: a longer row has the
same direction.

A row of zeros (every ReLU of a sample off) has no direction and no derivative. Here its a and its dx are 0: such a
sample counts as at a right angle to all others, and gets no gradient. Rows shorter than 1e-12 count as zeros. (The
usual x/max(‖x‖, 1e-12) gives a = 0 as well, but multiplies da by 10¹².)
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

    For a row of zeros the length is infinite, so that the division gives 0, forward and backward.
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
