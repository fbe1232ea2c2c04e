"""One round of max pooling, and its backward pass. Each is one pass over the image.

An image is treated as (outer, size, inner), in its memory order. The windows are along `size`, and the innermost loop
is over neighbours. Measured by `minikd bench --only teacher`.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from minikd.backends.loops.compiling import kernel, wide
from minikd.typing import Array, Floats, Shape

Positions = npt.NDArray[np.unsignedinteger]
NumberT = TypeVar("NumberT", bound=np.generic)


def window_max(x: Floats, axis: int, size: int, stride: int, padding: int, windows: int) -> tuple[Floats, Positions]:
    """Return the maximum of each window of x (N, C, H, W) along an axis, and its first pixel's position."""
    shape = (*x.shape[:axis], windows, *x.shape[axis + 1 :])
    position: np.dtype[np.unsignedinteger] = np.dtype(np.uint8 if size <= 256 else np.uint32)
    best, winner = _made(shape, x.dtype, x), _made(shape, position, x)
    _window_max(_in_three(x, x, axis), _in_three(best, x, axis), _in_three(winner, x, axis), size, stride, padding)
    return best, winner


@kernel
def _window_max(x: Floats, best: Floats, winner: Positions, size: int, stride: int, padding: int) -> None:
    wide()
    number = winner.dtype.type
    for n in range(x.shape[0]):
        for i in range(best.shape[1]):
            start = i * stride
            first = max(0, padding - start)  # the window's first pixel that is not padding
            for c in range(x.shape[2]):
                best[n, i, c] = x[n, start + first, c]
                winner[n, i, c] = number(first)
            for k in range(first + 1, size):
                for c in range(x.shape[2]):
                    value, so_far = x[n, start + k, c], best[n, i, c]
                    winner[n, i, c] = number(k) if value > so_far else winner[n, i, c]  # the first of equals stays
                    best[n, i, c] = value if value > so_far or value != value else so_far


def window_max_backward(
    dbest: Floats, winner: Positions, axis: int, kernel_size: int, stride: int, size: int
) -> Floats:
    """Return dx, of length `size` along the axis: each dbest at its winner, summed where windows overlap."""
    shape = (*dbest.shape[:axis], size, *dbest.shape[axis + 1 :])
    dx = _made(shape, dbest.dtype, dbest)
    pixels, back = _in_three(winner, dbest, axis), _in_three(dx, dbest, axis)
    _window_max_backward(_in_three(dbest, dbest, axis), pixels, back, kernel_size, stride)
    return dx


@kernel
def _window_max_backward(dbest: Floats, winner: Positions, dx: Floats, size: int, stride: int) -> None:
    wide()
    number, zero = winner.dtype.type, dbest.dtype.type(0)
    for n in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            for c in range(dx.shape[2]):
                dx[n, j, c] = zero
        for i in range(dbest.shape[1]):
            for k in range(size):
                for c in range(dx.shape[2]):
                    dx[n, i * stride + k, c] += dbest[n, i, c] if winner[n, i, c] == number(k) else zero


def _channels_last(like: Array) -> bool:
    """Return whether an image (N, C, H, W) is channels-last in memory."""
    return like.transpose(0, 2, 3, 1).flags.c_contiguous


def _made(shape: Shape, dtype: "np.dtype[NumberT]", like: Array) -> "npt.NDArray[NumberT]":
    """Return an empty image (N, C, H, W) in the memory order of `like`."""
    N, C, H, W = shape
    return np.empty((N, H, W, C), dtype).transpose(0, 3, 1, 2) if _channels_last(like) else np.empty(shape, dtype)


def _in_three(x: "npt.NDArray[NumberT]", like: Array, axis: int) -> "npt.NDArray[NumberT]":
    """Return x (N, C, H, W) as (outer, size, inner) around an axis, in the memory order of `like`."""
    if _channels_last(like):
        x, axis = x.transpose(0, 2, 3, 1), axis - 1
    return np.ascontiguousarray(x).reshape(-1, x.shape[axis], int(np.prod(x.shape[axis + 1 :])))
