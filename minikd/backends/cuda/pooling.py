"""One round of max pooling, along one axis, and its backward pass."""

import cupy

from minikd.typing import Floats, Mask

# One round of max pooling: x has the shape (outer, size, inner), and the windows are along `size`.
_window_max = cupy.ElementwiseKernel(
    "raw T x, int64 size, int64 inner, int64 windows, int64 kernel, int64 stride, int64 padding",
    "T best, W winner",
    """
    long long window = i / inner % windows, start = window * stride;
    long long first = (i / inner / windows * size + start) * inner + i % inner;
    long long pixel = start < padding ? padding - start : 0;  // the window's first that is not padding
    best = x[first + pixel * inner];
    winner = pixel;
    for (long long k = pixel + 1; k < kernel; ++k) {
        T value = x[first + k * inner];
        if (value > best) winner = k;  // strictly larger, so the first of equals stays
        if (value > best || value != value) best = value;
    }
    """,
    "minikd_window_max",
)

# Its backward pass: each pixel adds up the gradients of those windows in which it was the maximum.
_window_max_backward = cupy.ElementwiseKernel(
    "raw T dbest, raw W winner, int64 size, int64 inner, int64 windows, int64 kernel, int64 stride",
    "T dx",
    """
    long long outer = i / inner / size, place = i / inner % size;
    T sum = 0;
    for (long long k = place % stride; k < kernel && k <= place; k += stride) {
        long long window = (place - k) / stride, at = (outer * windows + window) * inner + i % inner;
        if (window < windows && winner[at] == k) sum += dbest[at];
    }
    dx = sum;
    """,
    "minikd_window_max_backward",
)


def window_max(x: Floats, axis: int, size: int, stride: int, padding: int, windows: int) -> tuple[Floats, Mask]:
    """Return the maximum of each window of x (N, C, H, W) along an axis, and its first pixel's position."""
    first = x[(slice(None),) * axis + (slice(0, stride * (windows - 1) + 1, stride),)]
    best, winner = cupy.empty_like(first), cupy.empty_like(first, "u1" if size <= 256 else "u4")
    _window_max(x, x.shape[axis], _inner(x, axis), windows, size, stride, padding, best, winner)
    return best, winner


def window_max_backward(dbest: Floats, winner: Mask, axis: int, kernel_size: int, stride: int, size: int) -> Floats:
    """Return dx, of length `size` along the axis: each dbest at its maximum's pixel, summed where windows overlap."""
    N, C, H, W = tuple(size if i == axis else length for i, length in enumerate(dbest.shape))
    dx: Floats = cupy.empty((N, H, W, C), dbest.dtype).transpose(0, 3, 1, 2)
    _window_max_backward(dbest, winner, size, _inner(dx, axis), dbest.shape[axis], kernel_size, stride, dx)
    return dx


def _inner(x: Floats, axis: int) -> int:
    """Return the product of the lengths of the axes after this one."""
    size = 1
    for length in x.shape[axis + 1 :]:
        size *= length
    return size
