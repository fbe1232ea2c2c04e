"""Rows in standard form, centred and of length 1: what Pearson's correlation and the z-score have in common.

    u = c/‖c‖,   c = a - ā

The correlation of two rows is the product of their u's, and the z-score of a row of K values is √(K-1)·u.

The gradient goes back through the length (`unit_rows`), and through the centring, which is its own adjoint:

    dc = (du - u Σ_k u_k du_k)/‖c‖,   da = dc - mean(dc)

It is orthogonal to 1 and to a: a constant or a positive factor on the row changes nothing.

A row that does not vary has no standard form, and as ‖c‖ → 0 the gradient grows without bound. Where no element of c is
larger than a few roundings of a, and where ‖c‖ is below 1e-12, u and the gradient are set to 0: such a row says
nothing and is told nothing.
"""

import numpy as np

from minikd.backends import module_of
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.typing import Floats


def standard_rows(a: Floats) -> tuple[Floats, Floats]:
    """Return u (N, K) and the lengths ‖c‖ (N, 1) of the rows of `a` (N, K).

    Of a row that does not vary u is 0, and the length is given as infinite, so that it is divided to 0 on the way back.
    """
    xp = module_of(a)
    c = a - a[:, :1]  # exactly 0 where all are equal; less their mean, which is rounded, they need not be
    c -= c.mean(1, keepdims=True)
    noise = xp.abs(a).max(1, keepdims=True) * (8 * float(np.finfo(a.dtype).eps))
    return unit_rows(c * (xp.abs(c).max(1, keepdims=True) > noise))


def standard_rows_backward(du: Floats, u: Floats, length: Floats) -> Floats:
    """Return da (N, K) from du, with u, length = standard_rows(a)."""
    dc = unit_rows_backward(du, u, length)
    da: Floats = dc - dc.mean(1, keepdims=True)
    return da
