"""A dense layer, with or without a ReLU after it, in one call; and for inference, a whole chain of such layers.

    y = relu(x wᵀ + b),   dz = dy where y > 0, 0 elsewhere,   dx = dz w,   dw = dzᵀ x,   db = Σ_n dz

BLAS computes the products. The rest is one pass over the outputs, where NumPy takes several. For a small network, the
interpreter takes longer than the products. So inference with a chain of dense layers is one call. Its parameters are in
a vector, one layer after the other, and the loop goes through it. Measured by `minikd bench --only student
inference-student`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends.loops.compiling import kernel, kernel_of_sums, wide
from minikd.typing import Floats, Ints


class SavedDense(NamedTuple):
    """The input x (N, C), the weight (O, C), the output y (N, O), and whether a ReLU made it."""

    x: Floats
    w: Floats
    y: Floats
    relu: bool


def dense(x: Floats, w: Floats, b: Floats | None, relu: bool) -> tuple[Floats, SavedDense]:
    """Return y (N, O) and the cache. Shapes: x (N, C), w (O, C), b (O,) or None for no bias."""
    b = np.zeros(len(w), w.dtype) if b is None else b
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    y = np.empty((len(x), len(w)), x.dtype)
    _dense(x, w, b, relu, y)
    return y, SavedDense(x, w, y, relu)


def dense_backward(
    dy: Floats, cache: SavedDense, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C), dw (O, C) and db (O,) from dy (N, O); `into` holds the arrays to fill with dw and db."""
    dx = np.empty_like(cache.x)
    return dx, *_gradients(dy, cache, dx, into)


def dense_backward_parameters(
    dy: Floats, cache: SavedDense, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Return only dw and db."""
    return _gradients(dy, cache, cache.x[:0], into)


def _gradients(dy: Floats, cache: SavedDense, dx: Floats, into: Mapping[str, Floats] | None) -> tuple[Floats, Floats]:
    """Fill dx, unless it is empty, and return dw and db."""
    x, w, y, relu = cache
    dw, db = (into["weight"], into["bias"]) if into else (np.empty(w.shape, w.dtype), np.empty(len(w), w.dtype))
    if not dw.flags.c_contiguous:  # the product needs rows without gaps
        dw[...], db[...] = _gradients(dy, cache, dx, None)
        return dw, db
    _dense_backward(np.ascontiguousarray(dy), x, w, y, relu, dw, db, dx)
    return dw, db


@kernel
def _dense(x: Floats, w: Floats, b: Floats, relu: bool, y: Floats) -> None:
    if len(x) == 1:
        one_row(x[0], w, y[0])
    else:
        np.dot(x, w.T, y)  # (N, O) = (N, C) @ (C, O)
    bias_relu(y, b, relu)


@kernel_of_sums
def one_row(x: Floats, w: Floats, y: Floats) -> None:
    """Fill y (O,) with the product of w (O, C) and x (C,). Here two plain loops are faster than BLAS."""
    for o in range(y.size):
        total = y.dtype.type(0)
        for c in range(x.size):
            total += w[o, c] * x[c]
        y[o] = total


@kernel
def bias_relu(y: Floats, b: Floats, relu: bool) -> None:
    """Add b (O,) to each row of y (N, O). If `relu`, set negative sums to 0."""
    wide()
    zero = y.dtype.type(0)
    for n in range(len(y)):
        for o in range(b.size):
            value = y[n, o] + b[o]
            y[n, o] = zero if relu and value < zero else value  # NaN stays NaN


@kernel
def _dense_backward(
    dy: Floats, x: Floats, w: Floats, y: Floats, relu: bool, dw: Floats, db: Floats, dx: Floats
) -> None:
    dz = np.empty_like(dy)
    gradient_before(dy, y, relu, dz, db)
    np.dot(dz.T, x, dw)  # (O, C) = (O, N) @ (N, C)
    if dx.size:
        np.dot(dz, w, dx)  # (N, C) = (N, O) @ (O, C)


@kernel
def gradient_before(dy: Floats, y: Floats, relu: bool, dz: Floats, db: Floats) -> None:
    """Fill dz (N, O) with the gradient before the ReLU, if there is one, and db (O,) with the sums of its columns."""
    wide()
    one, zero = dy.dtype.type(1), dy.dtype.type(0)
    db[:] = zero
    for n in range(len(dy)):
        for o in range(db.size):
            dz[n, o] = dy[n, o] * (one if y[n, o] > zero or not relu else zero)  # a product: NaN stays NaN
            db[o] += dz[n, o]


def dense_row(x: Floats, vector: Floats, sizes: Ints, relu: bool) -> Floats:
    """Return the output of dense layers for x (N, C), with ReLU between them, and after the last if `relu`.

    sizes (L + 1,): the numbers of features before, between and after L layers. vector: w (O, C) and b (O,) of one layer
    after the other.
    """
    return _dense_row(x if x.flags.c_contiguous else x.copy(), vector, sizes, relu)


@kernel
def _dense_row(x: Floats, vector: Floats, sizes: Ints, relu: bool) -> Floats:
    last, start = sizes.size - 2, 0
    for layer in range(last + 1):
        C, O = sizes[layer], sizes[layer + 1]
        end = start + O * C
        y = np.empty((len(x), O), x.dtype)
        _dense(x, vector[start:end].reshape(O, C), vector[end : end + O], relu or layer < last, y)
        x, start = y, end + O
    return x
