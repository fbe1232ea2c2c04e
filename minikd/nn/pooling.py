"""Pooling: the maximum, or the mean, of each window.

Max pooling: y = x̄[winner], one pixel of the window. If this pixel changes, y changes by as much. If another one
changes, y does not change. So the winner gets the whole dy, and the others get nothing. If windows overlap, a pixel's
gradients are added. If several pixels have the maximum (as in a digit's black background), the gradient may go to any
of them. Here the first in row order gets it, on every backend, as in PyTorch. Padding is -∞ and not a pixel: if all
pixels of a window are -∞, the first of them gets the gradient, not the padding before it.

The maximum is computed in two rounds: first along each row of the window, then over the winners of the rows. These are
R + S steps instead of R·S, and four times faster for a 2x2 window. The order is important for ties: the first row with
the maximum wins, and in it the first column. Together this is the first pixel in row order. The backward pass goes
through the two rounds in reverse order.

Average pooling: y = Σ x̄/(R·S), so each pixel of the window receives dy/(R·S).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends import kernels_of, module_of
from minikd.errors import ConfigError, ShapeError
from minikd.nn.geometry import channels_last, check_image, output_size, pair, taps
from minikd.nn.layer import Grads, Layer, check_upstream, expect_cache
from minikd.typing import Floats, HeightWidth, Mask, Shape

ONE = (1, 1)


class MaxPoolCache(NamedTuple):
    """The winners: the column in each row of each window (N, C, H + 2·ph, Q), the row (N, C, P, Q); and the windows."""

    column: Mask
    row: Mask
    dtype: np.dtype[np.floating]
    kernel: HeightWidth
    stride: HeightWidth
    padding: HeightWidth
    width: int


class AvgPoolCache(NamedTuple):
    """The input's shape and dtype, and the windows. The gradient needs nothing else."""

    shape: Shape
    dtype: np.dtype[np.floating]
    kernel: HeightWidth
    stride: HeightWidth
    padding: HeightWidth


class GlobalAvgPoolCache(NamedTuple):
    """The input's shape and dtype."""

    shape: Shape
    dtype: np.dtype[np.floating]


class Windows(NamedTuple):
    """The windows of a pooling."""

    kernel: HeightWidth
    stride: HeightWidth
    padding: HeightWidth


def checked_windows(
    kernel: int | HeightWidth, stride: int | HeightWidth, padding: int | HeightWidth, where: str
) -> Windows:
    """Return the windows, or refuse impossible windows, and padding that could fill a whole window."""
    found = Windows(
        pair(kernel, f"{where}'s kernel_size", 1),
        pair(stride, f"{where}'s stride", 1),
        pair(padding, f"{where}'s padding", 0),
    )
    if any(2 * p > k for p, k in zip(found.padding, found.kernel, strict=True)):
        raise ConfigError(
            f"{where}'s padding is {found.padding}, but must be at most half of the kernel {found.kernel}: "
            "a window with only padding has no pixel to pool"
        )
    return found


def max_pool2d(
    x: Floats, kernel: int | HeightWidth, stride: int | HeightWidth, padding: int | HeightWidth = 0
) -> tuple[Floats, MaxPoolCache]:
    """Return the maximum of each window, (N, C, P, Q), and the cache. Padding never wins.

    Shapes: x (N, C, H, W), float32 or float64. Windows may overlap (stride < kernel) or leave pixels out. If a window
    has a NaN, its maximum is NaN. Raises ShapeError, DtypeError and ConfigError.
    """
    check_image(x, None, "max_pool2d")
    kernel, stride, padding = checked_windows(kernel, stride, padding, "max_pool2d")
    P, Q = output_size(x.shape, kernel, stride, padding, ONE, "max_pool2d")
    padded = _pad(x, padding, -np.inf)
    best, column = _round(padded, 3, kernel[1], stride[1], Q, padding[1])
    y, row = _round(best, 2, kernel[0], stride[0], P, padding[0])
    if kernel == ONE:
        y = y.copy()  # with 1x1 windows nothing is compared, and without the copy, y would be a view of x
    return y, MaxPoolCache(column, row, x.dtype, kernel, stride, padding, padded.shape[3])


def max_pool2d_backward(dy: Floats, cache: MaxPoolCache) -> Floats:
    """Return dx (N, C, H, W): each dy (N, C, P, Q) at the pixel that won its window."""
    check_upstream(dy, cache.row.shape, cache.dtype, "max_pool2d")
    dbest = _round_backward(channels_last(dy), cache.row, 2, cache.kernel[0], cache.stride[0], cache.column.shape[2])
    dpadded = _round_backward(dbest, cache.column, 3, cache.kernel[1], cache.stride[1], cache.width)
    return _crop(dpadded, cache.padding)


def _round(x: Floats, axis: int, kernel: int, stride: int, windows: int, padding: int) -> tuple[Floats, Mask]:
    """Return the maximum of each window along one axis, and the first position of a pixel with this value."""
    xp, views = module_of(x), [_place(x, axis, k, stride, windows) for k in range(kernel)]
    best, dtype = views[0], np.dtype("u1" if kernel <= 256 else "u4")
    if kernels := kernels_of(x):
        best, winner = kernels.window_max(x, axis, kernel, stride, padding, windows)
        return best, winner
    winner = xp.zeros_like(best, dtype) if kernel == 1 else (views[1] > best).view("u1").astype(dtype, copy=False)
    for k, view in enumerate(views[1:], start=1):
        if k > 1:
            later = (view > best) * dtype.type(k)  # strictly larger, so the first of equal pixels stays
            winner = xp.maximum(winner, later)  # k only grows, so the last improvement is the winner
        best = xp.maximum(best, view)
    for window in range(min(windows, -(-padding // stride))):  # windows that begin in the padding
        first = winner[(slice(None),) * axis + (window,)]
        xp.maximum(first, dtype.type(padding - window * stride), out=first)
    return best, winner


def _round_backward(dbest: Floats, winner: Mask, axis: int, kernel: int, stride: int, size: int) -> Floats:
    """Return the gradient with respect to the round's input, `size` long on the axis: each dbest at its winner."""
    xp, windows = module_of(dbest), dbest.shape[axis]
    dx: Floats
    if kernels := kernels_of(dbest):
        dx = kernels.window_max_backward(dbest, winner, axis, kernel, stride, size)
        return dx
    tiled = kernel == stride and size == stride * windows  # each pixel is in exactly one window, so no zeros are needed
    dx = _channels_last(xp.empty if tiled else xp.zeros, dbest, (*dbest.shape[:axis], size, *dbest.shape[axis + 1 :]))
    for k in range(kernel):
        target = _place(dx, axis, k, stride, windows)
        if kernel <= stride:  # no pixel is in two windows, so nothing must be added
            xp.multiply(dbest, winner == k, out=target)
        else:
            target += dbest * (winner == k)
    return dx


def _place(x: Floats, axis: int, k: int, stride: int, windows: int) -> Floats:
    """Return the k-th position of every window along an axis, as a view."""
    return x[(slice(None),) * axis + (slice(k, k + stride * (windows - 1) + 1, stride),)]


def avg_pool2d(
    x: Floats, kernel: int | HeightWidth, stride: int | HeightWidth, padding: int | HeightWidth = 0
) -> tuple[Floats, AvgPoolCache]:
    """Return the mean of each window, (N, C, P, Q), and the cache. Padding counts as zeros, as in PyTorch's default.

    Shapes: x (N, C, H, W), float32 or float64. Raises ShapeError, DtypeError and ConfigError.
    """
    check_image(x, None, "avg_pool2d")
    kernel, stride, padding = checked_windows(kernel, stride, padding, "avg_pool2d")
    outputs = output_size(x.shape, kernel, stride, padding, ONE, "avg_pool2d")
    padded = _pad(x, padding, 0.0)
    views = [padded[:, :, rows, columns] for rows, columns in taps(kernel, stride, ONE, outputs)]
    total = views[0].copy()
    for view in views[1:]:
        total += view
    return total * (1.0 / len(views)), AvgPoolCache(x.shape, x.dtype, kernel, stride, padding)


def avg_pool2d_backward(dy: Floats, cache: AvgPoolCache) -> Floats:
    """Return dx (N, C, H, W): dy/(R·S) at every pixel of the window."""
    shape, dtype, kernel, stride, padding = cache
    outputs = output_size(shape, kernel, stride, padding, ONE, "avg_pool2d")
    check_upstream(dy, (*shape[:2], *outputs), dtype, "avg_pool2d")
    (N, C, H, W), (ph, pw) = shape, padding
    dpadded = _channels_last(module_of(dy).zeros, dy, (N, C, H + 2 * ph, W + 2 * pw))
    share = dy * (1.0 / (kernel[0] * kernel[1]))
    for rows, columns in taps(kernel, stride, ONE, outputs):
        dpadded[:, :, rows, columns] += share
    return _crop(dpadded, padding)


def global_avg_pool2d(x: Floats) -> tuple[Floats, GlobalAvgPoolCache]:
    """Return each channel's mean over the whole image, (N, C, 1, 1), and the cache (Lin et al. 2014, §3.2)."""
    check_image(x, None, "global_avg_pool2d")
    y: Floats = x.mean((2, 3), keepdims=True)
    return y, GlobalAvgPoolCache(x.shape, x.dtype)


def global_avg_pool2d_backward(dy: Floats, cache: GlobalAvgPoolCache) -> Floats:
    """Return dx (N, C, H, W): dy/(H·W) at every pixel."""
    N, C, H, W = cache.shape
    check_upstream(dy, (N, C, 1, 1), cache.dtype, "global_avg_pool2d")
    dx: Floats = module_of(dy).ones(cache.shape, dy.dtype) * (dy * (1.0 / (H * W)))
    return dx


def _pad(x: Floats, padding: HeightWidth, value: float) -> Floats:
    """Return x (N, C, H, W) with a border of `value`, or x itself if there is no border."""
    ph, pw = padding
    if ph == pw == 0:
        return x
    padded: Floats = module_of(x).pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)
    return padded


def _channels_last(make: Callable[..., Floats], dy: Floats, shape: Shape) -> Floats:
    """Return an array (N, C, H, W) that `make` makes in dy's dtype, channels-last in memory like those of `conv`."""
    N, C, H, W = shape
    return make((N, H, W, C), dy.dtype).transpose(0, 3, 1, 2)


def _crop(dpadded: Floats, padding: HeightWidth) -> Floats:
    """Return the image without its border."""
    (ph, pw), (H, W) = padding, dpadded.shape[2:]
    return dpadded[:, :, ph : H - ph, pw : W - pw]


class _Pool(Layer):
    """The base of the two poolings over windows. The default stride is the kernel's size."""

    def __init__(
        self, kernel_size: int | HeightWidth, stride: int | HeightWidth | None = None, padding: int | HeightWidth = 0
    ) -> None:
        super().__init__()
        name = type(self).__name__
        windows = checked_windows(kernel_size, kernel_size if stride is None else stride, padding, name)
        self.kernel_size, self.stride, self.padding = windows

    def config(self) -> Mapping[str, object]:
        return {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"{self!r} needs samples of shape (C, H, W), but gets {shape}")
        return (shape[0], *output_size(shape, self.kernel_size, self.stride, self.padding, ONE, repr(self)))


class MaxPool2d(_Pool):
    """The largest pixel of each window. Of equal pixels, the first."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, MaxPoolCache]:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return max_pool2d_backward(dy, expect_cache(cache, MaxPoolCache, self)), {}


class AvgPool2d(_Pool):
    """The mean of each window."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, AvgPoolCache]:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return avg_pool2d_backward(dy, expect_cache(cache, AvgPoolCache, self)), {}


class GlobalAvgPool2d(Layer):
    """Each channel's mean over the image, (N, C, 1, 1)."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, GlobalAvgPoolCache]:
        return global_avg_pool2d(x)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return global_avg_pool2d_backward(dy, expect_cache(cache, GlobalAvgPoolCache, self)), {}

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"{self!r} needs samples of shape (C, H, W), but gets {shape}")
        return (shape[0], 1, 1)
