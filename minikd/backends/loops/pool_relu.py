"""What follows a convolution, while one image's outputs are still in the core's cache: bias, max pooling, ReLU.

    y = relu(max over a window of z + b)

Kept for the backward pass is one byte an output: which pixel of its window won, counted in row order, or BLOCKED where
ReLU lets no gradient through. NumPy's layers write and read the whole batch four times for this.
"""

import numpy as np
import numpy.typing as npt

from minikd.backends.loops.compiling import kernel, wide
from minikd.typing import Floats

Winners = npt.NDArray[np.uint8]

BLOCKED = np.uint8(255)
"""The winner of an output that is 0 by ReLU: no pixel."""

LARGEST = 15
"""The longest side of a window whose pixels a byte can number."""


@kernel
def pool_relu(z: Floats, b: Floats, y: Floats, winner: Winners, rows: int, columns: int, relu: bool) -> None:
    """Fill y and winner (P, Q, O) from z (P·rows, Q·columns, O) and b (O,)."""
    wide()
    P, Q, O = y.shape
    zero, first = y.dtype.type(0), np.uint8(0)
    for p in range(P):
        for q in range(Q):
            best, place = y[p, q], winner[p, q]
            for o in range(O):
                best[o] = z[p * rows, q * columns, o]
                place[o] = first
            for k in range(1, rows * columns):
                number, pixel = np.uint8(k), z[p * rows + k // columns, q * columns + k % columns]
                for o in range(O):
                    value, so_far = pixel[o], best[o]
                    place[o] = number if value > so_far else place[o]  # of equals, the first stays
                    best[o] = value if value > so_far or value != value else so_far
            for o in range(O):
                value = best[o] + b[o]
                if relu:
                    place[o] = place[o] if value > zero else BLOCKED
                    value = zero if value < zero else value  # NaN stays NaN
                best[o] = value


@kernel
def unpool(dy: Floats, winner: Winners, dz: Floats, db: Floats, rows: int, columns: int) -> None:
    """Fill dz (P·rows, Q·columns, O) with each dy (P, Q, O) at its winner and 0 elsewhere; add the sums to db (O,)."""
    wide()
    P, Q, O = dy.shape
    zero = dy.dtype.type(0)
    for p in range(P):
        for q in range(Q):
            gradient, place = dy[p, q], winner[p, q]
            for k in range(rows * columns):
                number, pixel = np.uint8(k), dz[p * rows + k // columns, q * columns + k % columns]
                for o in range(O):
                    pixel[o] = gradient[o] if place[o] == number else zero
            for o in range(O):
                db[o] += gradient[o] if place[o] != BLOCKED else zero
