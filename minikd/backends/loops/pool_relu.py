"""Bias, max pooling and ReLU after a convolution, while an image's outputs are still in the core's cache.

    y = relu(max over a window of z + b)

For the backward pass, one byte for each output is stored: the number of the largest pixel of its window, in row order,
or BLOCKED if the ReLU lets no gradient through. NumPy's layers write and read the whole batch four times for this.
"""

import numpy as np
import numpy.typing as npt

from minikd.backends.loops.compiling import kernel, wide
from minikd.typing import Floats, Scalar

Winners = npt.NDArray[np.uint8]

BLOCKED = np.uint8(255)
"""The byte of an output that the ReLU has set to 0."""

LARGEST = 15
"""The longest side of a window whose pixels a byte can number."""


@kernel
def pool_relu(z: Floats, b: Floats, y: Floats, winner: Winners, rows: int, columns: int, relu: bool) -> None:
    """Fill y and winner (P, Q, O) from z (P·rows, Q·columns, O) and b (O,)."""
    if rows == 2 and columns == 2:
        pool_two(z, b, y, winner, relu)
        return
    wide()
    (P, Q, O), zero = y.shape, y.dtype.type(0)
    for p in range(P):
        for q in range(Q):
            for o in range(O):
                y[p, q, o] = z[p * rows, q * columns, o]
                winner[p, q, o] = np.uint8(0)
            for k in range(1, rows * columns):
                number, i, j = np.uint8(k), p * rows + k // columns, q * columns + k % columns
                for o in range(O):
                    value, best = z[i, j, o], y[p, q, o]
                    winner[p, q, o] = number if value > best else winner[p, q, o]  # the first of equal pixels stays
                    y[p, q, o] = larger(best, value)
            for o in range(O):
                y[p, q, o], winner[p, q, o] = bias_relu(y[p, q, o], b[o], winner[p, q, o], relu, zero)


@kernel
def pool_two(z: Floats, b: Floats, y: Floats, winner: Winners, relu: bool) -> None:
    """Do the same for windows of 2x2, the usual ones, with all intermediate values in registers."""
    wide()
    (P, Q, O), zero = y.shape, y.dtype.type(0)
    for p in range(P):
        for q in range(Q):
            for o in range(O):
                best, value = z[2 * p, 2 * q, o], z[2 * p, 2 * q + 1, o]
                number = np.uint8(1) if value > best else np.uint8(0)
                best, value = larger(best, value), z[2 * p + 1, 2 * q, o]
                number = np.uint8(2) if value > best else number
                best, value = larger(best, value), z[2 * p + 1, 2 * q + 1, o]
                number = np.uint8(3) if value > best else number
                y[p, q, o], winner[p, q, o] = bias_relu(larger(best, value), b[o], number, relu, zero)


@kernel
def larger(a: Scalar, b: Scalar) -> Scalar:
    """Return the larger number, or NaN if one is NaN."""
    return b if b > a or b != b else a


@kernel
def bias_relu(best: Scalar, b: Scalar, number: np.uint8, relu: bool, zero: Scalar) -> tuple[Scalar, np.uint8]:
    """Return max(best + b, 0), and the winner, or BLOCKED if it is 0.

    Without `relu`, return best + b and the winner.
    """
    value = best + b
    passes = value > zero or not relu
    kept = value if passes or value != value else zero  # NaN stays NaN
    return kept, number if passes else BLOCKED


@kernel
def unpool(dy: Floats, winner: Winners, dz: Floats, db: Floats, rows: int, columns: int) -> None:
    """Fill dz (P·rows, Q·columns, O) with each dy (P, Q, O) at its winner and 0 elsewhere. Add the sums to db (O,)."""
    wide()
    (P, Q, O), zero = dy.shape, dy.dtype.type(0)
    for p in range(P):
        for q in range(Q):
            for k in range(rows * columns):
                number, i, j = np.uint8(k), p * rows + k // columns, q * columns + k % columns
                for o in range(O):
                    dz[i, j, o] = dy[p, q, o] if winner[p, q, o] == number else zero
            for o in range(O):
                db[o] += dy[p, q, o] if winner[p, q, o] != BLOCKED else zero
