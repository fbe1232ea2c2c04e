"""A convolution, with or without the max pooling and the ReLU after it: two launches forward, four backward.

    y = relu(max over a window of z),   z the convolution

For the backward pass, one byte for each output is kept: the number of the largest pixel of its window, in row order, or
BLOCKED if the ReLU lets no gradient through.
"""

from collections.abc import Mapping
from typing import NamedTuple

import cupy

from minikd.backends.cuda import convolution
from minikd.backends.cuda.activations import relu_backward
from minikd.backends.moves import Block
from minikd.typing import Array, Floats, HeightWidth

BLOCKED = 255
"""The byte of an output that the ReLU has set to 0."""

LARGEST = 15
"""The longest side of a window whose pixels a byte can number."""

ONE = (1, 1)

# Indices have 32 bits: a device divides them several times faster than 64 bits.
_pool_relu = cupy.ElementwiseKernel(
    "raw T z, int32 H, int32 W, int32 O, int32 P, int32 Q, int32 rows, int32 columns, bool relu, uint8 blocked",
    "T y, uint8 winner",
    """
    int at = i, o = at % O, q = at / O % Q, p = at / O / Q % P, n = at / O / Q / P;
    int first = ((n * H + p * rows) * W + q * columns) * O + o, number = 0;
    y = z[first];
    winner = 0;
    for (int row = 0; row < rows; ++row) for (int column = 0; column < columns; ++column, ++number) {
        T value = z[first + (row * W + column) * O];
        if (value > y) winner = number;  // strictly larger, so the first of equals stays
        if (value > y || value != value) y = value;
    }
    if (relu && !(y > 0)) {
        winner = blocked;
        if (y < 0) y = 0;  // NaN stays
    }
    """,
    "minikd_pool_relu",
)

# A pixel of z gets the gradient of its window's output if it was the largest, and 0 otherwise. dy may have any strides.
_pool_relu_backward = cupy.ElementwiseKernel(
    "raw T dy, raw uint8 winner, int32 H, int32 W, int32 O, int32 P, int32 Q, int32 rows, int32 columns",
    "T dz",
    """
    int at = i, o = at % O, w = at / O % W, h = at / O / W % H, n = at / O / W / H, p = h / rows, q = w / columns;
    const ptrdiff_t place[4] = {n, p, q, o};
    bool inside = p < P && q < Q;
    dz = inside && winner[((n * P + p) * Q + q) * O + o] == h % rows * columns + w % columns ? dy[place] : T(0);
    """,
    "minikd_pool_relu_backward",
)


class BlockArrays(NamedTuple):
    """Input x and output y, channels-last; weight (O, C/groups, R, S); z's height and width; the kept bytes."""

    x: Floats
    y: Floats
    w: Floats
    size: HeightWidth
    winner: Array | None
    moves: Block


def block(x: Floats, w: Floats, b: Floats | None, moves: Block) -> tuple[Floats, BlockArrays] | None:
    """Return the outputs (N, O, P, Q) and the cache, or None if the kernels cannot take these arrays.

    Shapes: x (N, C, H, W), w (O, C/groups, R, S), b (O,) or None for no bias. Pooling windows that reach beyond the
    edge are left out.
    """
    if not covers(x, w, b, moves):
        return None
    size, image = convolved_size(x, w, moves), x.transpose(0, 2, 3, 1)
    pooled = moves.window != ONE
    y = convolution.forward(image, w, b, _moves(moves), size, moves.relu and not pooled)
    winner = None
    if pooled:
        z, (rows, columns), O = y, moves.window, len(w)
        P, Q = size[0] // rows, size[1] // columns
        y, winner = cupy.empty((len(x), P, Q, O), x.dtype), cupy.empty((len(x), P, Q, O), "u1")
        _pool_relu(z, *size, O, P, Q, rows, columns, moves.relu, BLOCKED, y, winner)
    return y.transpose(0, 3, 1, 2), BlockArrays(image, y, w, size, winner, moves)


def block_backward(
    dy: Floats, cache: BlockArrays, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C, H, W), dw and db from dy (N, O, P, Q). dw and db are written to `into`, if given."""
    dz = _before_pooling(dy, cache)
    dw, db = _parameters(dz, cache, into)
    dx = convolution.backward_input(dz, cache.w, _moves(cache.moves), cache.x.shape[1:3])
    return dx.transpose(0, 3, 1, 2), dw, db


def block_backward_parameters(
    dy: Floats, cache: BlockArrays, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Return only dw and db."""
    return _parameters(_before_pooling(dy, cache), cache, into)


def _before_pooling(dy: Floats, cache: BlockArrays) -> Floats:
    """Return the gradient with respect to the convolution's output, (N, P, Q, O), rows in order."""
    dy, y = dy.transpose(0, 2, 3, 1), cache.y
    if cache.winner is None:
        return relu_backward(dy, y) if cache.moves.relu else cupy.ascontiguousarray(dy)
    dz: Floats = cupy.empty((len(y), *cache.size, y.shape[3]), y.dtype)
    sizes = (*cache.size, y.shape[3], *y.shape[1:3], *cache.moves.window)
    _pool_relu_backward(dy, cache.winner, *sizes, dz)
    return dz


def _parameters(dz: Floats, cache: BlockArrays, into: Mapping[str, Floats] | None) -> tuple[Floats, Floats]:
    """Return dw and db, written to the arrays of `into`, if given."""
    w = cache.w
    dw, db = (into["weight"], into["bias"]) if into else (cupy.empty(w.shape, w.dtype), cupy.empty(len(w), w.dtype))
    convolution.backward_parameters(cache.x, dz, _moves(cache.moves), dw, db)
    return dw, db


def _moves(block: Block) -> convolution.Moves:
    """Return the moves of a block's convolution."""
    return convolution.Moves(block.stride, block.padding, block.dilation, block.groups)


def covers(x: Floats, w: Floats, b: Floats | None, moves: Block) -> bool:
    """Return whether the kernels can take a block. If not, its layers compute it one by one."""
    arrays = [x, w] if b is None else [x, w, b]
    if not all(isinstance(array, cupy.ndarray) and array.dtype == w.dtype for array in arrays) or not x.size:
        return False
    if not (
        x.ndim == w.ndim == 4 and x.shape[1] == w.shape[1] * moves.groups and w.size and max(moves.window) <= LARGEST
    ):
        return False
    size = convolved_size(x, w, moves)
    largest = max(x.size, len(x) * size[0] * size[1] * len(w))
    return min(size[0] // moves.window[0], size[1] // moves.window[1]) > 0 and largest < convolution.LARGEST


def convolved_size(x: Floats, w: Floats, moves: Block) -> HeightWidth:
    """Return the height and width of the convolution's outputs."""
    P, Q = (
        (length + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
        for length, taps, stride, padding, dilation in zip(x.shape[2:], w.shape[2:], *moves[:3], strict=True)
    )
    return P, Q
