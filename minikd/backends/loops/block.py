"""A convolution, with or without max pooling and ReLU after it: chooses the loop, computes the gradients."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends.loops import any_convolution, winograd
from minikd.backends.loops.pool_relu import LARGEST, Winners
from minikd.backends.moves import Block
from minikd.typing import Floats, HeightWidth

FEW_WINDOWS = 24
"""With fewer windows, a product is not worth its call."""

FEW_CHANNELS = 8
"""With fewer channels, the transforms take longer than the products that they save."""


class Saved(NamedTuple):
    """The input, channels-last (N, H, W, C); the weight (O, C, R, S); the winners (N, P, Q, O); how windows move."""

    x: Floats
    w: Floats
    winner: Winners
    moves: Block


def block(x: Floats, w: Floats, b: Floats | None, moves: Block) -> tuple[Floats, Saved] | None:
    """Return the outputs (N, O, P, Q) and the cache, or None if no loop supports these shapes.

    Shapes: x (N, C, H, W), w (O, C, R, S), b (O,) or None for no bias. Pooling windows that reach beyond the edge are
    left out.
    """
    b = np.zeros(len(w), w.dtype) if b is None else b
    if not covers(x, w, b, moves):
        return None
    P, Q = outputs(x, w, moves)
    rows = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    y = np.empty((len(x), P, Q, len(w)), x.dtype)
    winner = np.empty(y.shape, np.uint8)
    stride, padding, dilation, window, relu, _ = moves
    if by_winograd(w, moves):
        size = outputs(x, w, moves._replace(window=(1, 1)))
        winograd.forward(rows, winograd.transformed(w), b, y, winner, size, padding, window, relu)
    else:
        matrix = np.ascontiguousarray(w.transpose(2, 3, 1, 0)).reshape(-1, len(w))
        any_convolution.forward(rows, matrix, b, y, winner, w.shape[2:], stride, padding, dilation, window, relu)
    return y.transpose(0, 3, 1, 2), Saved(rows, w, winner, moves)


def block_backward(dy: Floats, cache: Saved, into: Mapping[str, Floats] | None = None) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C, H, W), dw and db from dy (N, O, P, Q); `into` holds the arrays to fill with dw and db."""
    dx = np.empty_like(cache.x)
    return dx.transpose(0, 3, 1, 2), *_gradients(dy, cache, dx, into)


def block_backward_parameters(
    dy: Floats, cache: Saved, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Return only dw and db."""
    return _gradients(dy, cache, cache.x[:0], into)


def _gradients(dy: Floats, cache: Saved, dx: Floats, into: Mapping[str, Floats] | None) -> tuple[Floats, Floats]:
    """Fill dx, unless it is empty, and return dw and db."""
    x, w, winner, (stride, padding, dilation, window, _, _) = cache
    O, C, R, S = w.shape
    dw, db = (into["weight"], into["bias"]) if into else (np.empty(w.shape, w.dtype), np.empty(O, w.dtype))
    gradient = np.ascontiguousarray(dy.transpose(0, 2, 3, 1))
    if by_winograd(w, cache.moves):
        turned, dU = winograd.transformed(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)), np.empty((16, C, O), w.dtype)
        size = outputs(x.transpose(0, 3, 1, 2), w, cache.moves._replace(window=(1, 1)))
        winograd.backward(x, turned, gradient, winner, dU, db, dx, size, padding, window)
        dw[...] = winograd.transformed_back(dU)
        return dw, db
    matrix = np.ascontiguousarray(w.transpose(2, 3, 1, 0)).reshape(-1, O)
    dmatrix = np.empty_like(matrix)
    moves = ((R, S), stride, padding, dilation, window)
    any_convolution.backward(x, matrix, gradient, winner, dmatrix, db, dx, *moves)
    dw[...] = dmatrix.reshape(R, S, C, O).transpose(3, 2, 0, 1)
    return dw, db


def covers(x: Floats, w: Floats, b: Floats, moves: Block) -> bool:
    """Return whether a loop supports a block. If not, for example if arrays do not match, its layers do the work."""
    if not (x.ndim == w.ndim == 4 and x.dtype == w.dtype == b.dtype and x.shape[1] == w.shape[1] and len(x)):
        return False
    small = w.size * FEW_WINDOWS <= any_convolution.UNPACKED or by_winograd(w, moves)
    return small and max(moves.window) <= LARGEST and min(outputs(x, w, moves)) > 0


def by_winograd(w: Floats, moves: Block) -> bool:
    """Return whether Winograd's transform computes a convolution of w (O, C, R, S)."""
    plain = w.shape[2:] == (3, 3) and moves.stride == moves.dilation == (1, 1) and max(moves.padding) <= 2
    return plain and min(w.shape[:2]) >= FEW_CHANNELS


def outputs(x: Floats, w: Floats, moves: Block) -> HeightWidth:
    """Return the height and width of the outputs, (P, Q)."""
    P, Q = (
        ((length + 2 * padding - dilation * (taps - 1) - 1) // stride + 1) // window
        for length, taps, stride, padding, dilation, window in zip(x.shape[2:], w.shape[2:], *moves[:4], strict=True)
    )
    return P, Q
