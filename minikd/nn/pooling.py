"""Pooling: the largest, or the mean, of each window.

Max pooling: y = x̄[winner], one pixel of the window. Moving that pixel moves y by as much, moving another does not move
it at all, so dy goes whole to the winner and nothing to the rest; windows that overlap add up. Where several pixels
share the maximum (a digit's black background!) any of them is a valid subgradient, and the first in row order is taken,
on every backend, as PyTorch does.

Average pooling: y = Σ x̄/(R·S), so each pixel of the window receives dy/(R·S).

Both walk over the R·S positions of the window, each one strided view of the whole image (see `geometry.taps`).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backend import module_of
from minikd.errors import ConfigError, ShapeError
from minikd.nn.geometry import Pair, check_image, output_size, pair, taps
from minikd.nn.layer import Grads, Layer, check_upstream, expect_cache
from minikd.typing import Floats, Mask, Shape

ONE = (1, 1)


class MaxPoolCache(NamedTuple):
    """Which of the window's R·S positions won (N, C, P, Q), small integers; the input's shape; the windows."""

    winner: Mask
    shape: Shape
    dtype: np.dtype[np.floating]
    kernel: Pair
    stride: Pair
    padding: Pair


class AvgPoolCache(NamedTuple):
    """The input's shape and dtype, and the windows: the gradient needs nothing else."""

    shape: Shape
    dtype: np.dtype[np.floating]
    kernel: Pair
    stride: Pair
    padding: Pair


class GlobalAvgPoolCache(NamedTuple):
    """The input's shape and dtype."""

    shape: Shape
    dtype: np.dtype[np.floating]


def max_pool2d(x: Floats, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> tuple[Floats, MaxPoolCache]:
    """Return the maximum of each window, (N, C, P, Q), and the cache; padding never wins.

    Shapes: x (N, C, H, W), float32 or float64. Windows may overlap (stride < kernel) or leave pixels out. A NaN in a
    window is passed on, never hidden. Raises ShapeError.
    """
    check_image(x, None, "max_pool2d")
    outputs = output_size(x.shape, kernel, stride, padding, ONE, "max_pool2d")
    xp, padded = module_of(x), _pad(x, padding, -np.inf)
    views = [padded[:, :, rows, columns] for rows, columns in taps(kernel, stride, ONE, outputs)]
    y = views[0]
    winner = xp.zeros_like(y, "u1" if len(views) <= 256 else "u4")
    for k, view in enumerate(views[1:], start=1):
        winner = xp.where(view > y, winner.dtype.type(k), winner)  # strictly larger: the first maximum stays
        y = xp.maximum(y, view)
    if len(views) == 1:
        y = y.copy()  # a window of one pixel: without the copy, y would be a view of x
    return y, MaxPoolCache(winner, x.shape, x.dtype, kernel, stride, padding)


def max_pool2d_backward(dy: Floats, cache: MaxPoolCache) -> Floats:
    """Return dx (N, C, H, W): each dy (N, C, P, Q) at the pixel that won its window."""
    winner, shape, dtype, kernel, stride, padding = cache
    check_upstream(dy, winner.shape, dtype, "max_pool2d")
    dpadded = _zeros_like_padded(dy, shape, padding)
    for k, (rows, columns) in enumerate(taps(kernel, stride, ONE, dy.shape[2:])):
        dpadded[:, :, rows, columns] += dy * (winner == k)
    return _crop(dpadded, padding)


def avg_pool2d(x: Floats, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> tuple[Floats, AvgPoolCache]:
    """Return the mean of each window, (N, C, P, Q), and the cache; padding counts as zeros, as PyTorch's default.

    Shapes: x (N, C, H, W), float32 or float64. Raises ShapeError.
    """
    check_image(x, None, "avg_pool2d")
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
    dpadded = _zeros_like_padded(dy, shape, padding)
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


def _pad(x: Floats, padding: Pair, value: float) -> Floats:
    """Return x (N, C, H, W) with a border of `value`; x itself where there is no border."""
    ph, pw = padding
    if ph == pw == 0:
        return x
    padded: Floats = module_of(x).pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)
    return padded


def _zeros_like_padded(dy: Floats, shape: Shape, padding: Pair) -> Floats:
    """Return zeros for the padded input (N, C, H + 2·ph, W + 2·pw), channels-last in memory as convolution's arrays."""
    (N, C, H, W), (ph, pw) = shape, padding
    zeros: Floats = module_of(dy).zeros((N, H + 2 * ph, W + 2 * pw, C), dy.dtype)
    return zeros.transpose(0, 3, 1, 2)


def _crop(dpadded: Floats, padding: Pair) -> Floats:
    """Return the image without its border."""
    (ph, pw), (H, W) = padding, dpadded.shape[2:]
    return dpadded[:, :, ph : H - ph, pw : W - pw]


class _Pool(Layer):
    """What the two window poolings share: the windows; the stride is the kernel where none is given."""

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = pair(kernel_size, f"{name}'s kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, f"{name}'s stride", 1)
        self.padding = pair(padding, f"{name}'s padding", 0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ConfigError(
                f"{name}'s padding is {self.padding}, but must be at most half of the kernel {self.kernel_size}: "
                "a window of nothing but padding has no pixel to pool"
            )

    def config(self) -> Mapping[str, object]:
        return {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"{self!r} needs samples of shape (C, H, W), but gets {shape}")
        return (shape[0], *output_size(shape, self.kernel_size, self.stride, self.padding, ONE, repr(self)))


class MaxPool2d(_Pool):
    """The largest pixel of each window; of equals, the first."""

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
