"""Rows in standard form, centred and of length 1: what Pearson's correlation and the z-score have in common.

    u = c/‖c‖,   c = a - ā

The correlation of two rows is the product of their u's, and the z-score of a row of K values is √(K-1)·u.

The gradient goes back through the length (`unit_rows`), and through the centring, which is its own adjoint:

    dc = (du - u Σ_k u_k du_k)/‖c‖,   da = dc - mean(dc)

da is orthogonal to 1 and to a, because u does not change if a constant is added to the row or the row is multiplied by
a positive factor.

A row that does not vary has no standard form, and the gradient grows without bound as ‖c‖ → 0. If no element of c is
larger than a few roundings of a, or if ‖c‖ is below 1e-12, u and the gradient are set to 0: such a row is left out.
"""

import numpy as np

from minikd.backends import module_of
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.typing import Floats


def standard_rows(a: Floats) -> tuple[Floats, Floats]:
    """Return u (N, K) and the lengths ‖c‖ (N, 1) of the rows of `a` (N, K).

    For a row that does not vary, u is 0 and the length is infinite, so that the backward pass divides it to 0.
    """
    xp = module_of(a)
    c = a - a[:, :1]  # exactly 0 if all are equal, which a rounded mean does not ensure
    c -= c.mean(1, keepdims=True)
    noise = xp.abs(a).max(1, keepdims=True) * (8 * float(np.finfo(a.dtype).eps))
    return unit_rows(c * (xp.abs(c).max(1, keepdims=True) > noise))


def standard_rows_backward(du: Floats, u: Floats, length: Floats) -> Floats:
    """Return da (N, K) from du, with u, length = standard_rows(a)."""
    dc = unit_rows_backward(du, u, length)
    da: Floats = dc - dc.mean(1, keepdims=True)
    return da
