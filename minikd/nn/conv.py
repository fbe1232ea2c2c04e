"""Convolution (cross-correlation, as the field calls it) as one matrix product.

    y[n, o, p, q] = b[o] + Σ_{c,r,s} x̄[n, c, p·sy + r·δy, q·sx + s·δx] w[o, c, r, s]

with x̄ the zero-padded input, s the stride and δ the dilation. Let row (n, p, q) of the matrix `cols` hold the window
that output (n, p, q) sees. Then y = cols wᵀ + b is a dense layer over windows, and its backward pass is that of the
dense layer followed by the adjoint of "take windows":

    dw = dyᵀ cols          db = Σ_{n,p,q} dy          dcols = dy w
    dx̄[i] = Σ of dcols over all windows and positions that read x̄[i]

The last line is the adjoint because taking windows is a linear map whose matrix holds one 1 in each row, at the pixel
it reads; its transpose adds each entry back to that pixel. dx is dx̄ without the padding's border.

Memory. Shapes are NCHW outside, but the arrays underneath are channels-last: a window's row is then R runs of S·C
neighbouring floats, which copies several times faster than C·R runs of S. An image stays channels-last through ReLU
and pooling, so the transposes below are views. `cols` is R·S times the size of x: it is made for a few images at a
time, small enough to stay in the processor's cache, and made again in the backward pass instead of being kept.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from minikd.backend import kernels_of, module_of
from minikd.errors import ConfigError, ShapeError
from minikd.nn.geometry import Pair, check_image, output_size, pair, taps
from minikd.nn.initialization import initial_weight
from minikd.nn.layer import Grads, Layer, check_input, check_upstream, expect_cache
from minikd.typing import Floats, Shape

CHUNK_BYTES = {"numpy": 2**21, "cupy": 2**28}
"""How much of `cols` exists at a time: on the host about the size of one core's second-level cache; on a device, where
every launch costs, as much as a small one can spare."""


class Steps(NamedTuple):
    """How the window moves."""

    stride: Pair
    padding: Pair
    dilation: Pair


class ConvCache(NamedTuple):
    """The padded input, channels-last (N, H + 2·ph, W + 2·pw, C); the weight (O, C/groups, R, S); the moves."""

    padded: Floats
    w: Floats
    steps: Steps
    groups: int


def conv2d(
    x: Floats,
    w: Floats,
    b: Floats,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Floats, ConvCache]:
    """Return the convolution y (N, O, P, Q) and the cache.

    Shapes: x (N, C, H, W), w (O, C/groups, R, S), b (O,), all float32 or all float64. With groups, output channels are
    cut into `groups` runs, and each run sees its own run of input channels only. Raises ShapeError and DtypeError.
    """
    check_input(x, w, "conv2d")
    check_image(x, w.shape[1] * groups, "conv2d")
    N, O = len(x), len(w)
    P, Q = output_size(x.shape, w.shape[2:], stride, padding, dilation, "conv2d")
    cache = ConvCache(pad(x, padding), w, Steps(stride, padding, dilation), groups)
    y = module_of(x).empty((N, P, Q, O), x.dtype)
    for run_in, run_out in _groups(cache):
        matrix = _as_matrix(w[run_out])
        for images in _chunks(cache, P * Q):
            cols = columns(cache.padded[images, :, :, run_in], w.shape[2:], cache.steps, (P, Q))
            product = cols @ matrix.T  # (NPQ, O) = (NPQ, RSC) @ (RSC, O)
            y[images, :, :, run_out] = product.reshape(-1, P, Q, len(matrix))
    y += b
    return y.transpose(0, 3, 1, 2), cache


def conv2d_backward(dy: Floats, cache: ConvCache) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C, H, W), dw (O, C/groups, R, S), db (O,) from dy (N, O, P, Q)."""
    dw, db = conv2d_backward_parameters(dy, cache)
    return conv2d_backward_input(dy, cache), dw, db


def conv2d_backward_parameters(dy: Floats, cache: ConvCache) -> tuple[Floats, Floats]:
    """Return dw and db: the windows are taken again, and meet the gradients of the outputs that they made."""
    rows, (P, Q) = _upstream_rows(dy, cache)
    w, xp = cache.w, module_of(dy)
    dw = xp.empty(w.shape, w.dtype)
    for run_in, run_out in _groups(cache):
        total = xp.zeros_like(_as_matrix(w[run_out]))
        for images in _chunks(cache, P * Q):
            cols = columns(cache.padded[images, :, :, run_in], w.shape[2:], cache.steps, (P, Q))
            g = rows[images, :, :, run_out].reshape(len(cols), -1)
            total += g.T @ cols  # (O, RSC) = (O, NPQ) @ (NPQ, RSC)
        dw[run_out] = _as_weight(total, w.shape)
    flat = rows.reshape(-1, len(w))
    db: Floats = xp.ones(len(flat), dy.dtype) @ flat  # (O,) = (NPQ,) @ (NPQ, O)
    return dw, db


def conv2d_backward_input(dy: Floats, cache: ConvCache) -> Floats:
    """Return dx: every window's gradient is added back to the pixels that it read."""
    rows, (P, Q) = _upstream_rows(dy, cache)
    w, steps = cache.w, cache.steps
    kernel = w.shape[2:]
    dpadded = module_of(dy).zeros(cache.padded.shape, dy.dtype)
    for run_in, run_out in _groups(cache):
        matrix = _as_matrix(w[run_out])
        for images in _chunks(cache, P * Q):
            g = rows[images, :, :, run_out].reshape(-1, len(matrix))
            dcols = g @ matrix  # (NPQ, RSC) = (NPQ, O) @ (O, RSC)
            add_windows(dpadded[images, :, :, run_in], dcols, kernel, steps, (P, Q))
    (ph, pw), (H, W) = steps.padding, dpadded.shape[1:3]
    dx: Floats = dpadded[:, ph : H - ph, pw : W - pw].transpose(0, 3, 1, 2)
    return dx


def pad(x: Floats, padding: Pair) -> Floats:
    """Return x (N, C, H, W) with a border of zeros, channels-last (N, H + 2·ph, W + 2·pw, C)."""
    (N, C, H, W), (ph, pw) = x.shape, padding
    padded: Floats = module_of(x).zeros((N, H + 2 * ph, W + 2 * pw, C), x.dtype)
    padded[:, ph : ph + H, pw : pw + W] = x.transpose(0, 2, 3, 1)
    return padded


def columns(padded: Floats, kernel: Pair, steps: Steps, outputs: Pair) -> Floats:
    """Return the windows of padded (N, H, W, C) as rows (N·P·Q, R·S·C)."""
    (N, _, _, C), (R, S), (P, Q) = padded.shape, kernel, outputs
    xp = module_of(padded)
    if C == 1 and xp is np:
        # A grey pixel is a run of one float. One plane for each kernel position copies runs of Q instead: 5x faster.
        planes = np.empty((R * S, N, P, Q), padded.dtype)
        for k, (rows, cols) in enumerate(taps(kernel, steps.stride, steps.dilation, outputs)):
            planes[k] = padded[:, rows, cols, 0]
        grey: Floats = planes.reshape(R * S, N * P * Q).T
        return grey
    (n, h, w, c), (sy, sx), (dy, dx) = padded.strides, steps.stride, steps.dilation
    windows = xp.lib.stride_tricks.as_strided(padded, (N, P, Q, R, S, C), (n, sy * h, sx * w, dy * h, dx * w, c))
    colour: Floats = windows.reshape(N * P * Q, R * S * C)
    return colour


def add_windows(target: Floats, dcols: Floats, kernel: Pair, steps: Steps, outputs: Pair) -> None:
    """Add each row of dcols (N·P·Q, R·S·C) to the pixels of target (N, H, W, C), all 0, that its window read."""
    if kernels := kernels_of(target):
        kernels.gather_windows(dcols, target, outputs, kernel, steps.stride, steps.dilation)
        return
    places = taps(kernel, steps.stride, steps.dilation, outputs)
    dcols = dcols.reshape(-1, *outputs, len(places), target.shape[3])
    for k, (rows, cols) in enumerate(places):
        target[:, rows, cols] += dcols[:, :, :, k]


def _as_matrix(w: Floats) -> Floats:
    """Return w (O, C, R, S) as (O, R·S·C), its columns in the order of the windows' pixels."""
    return w.transpose(0, 2, 3, 1).reshape(len(w), -1)


def _as_weight(matrix: Floats, shape: Shape) -> Floats:
    """Return the inverse of `_as_matrix`."""
    _, C, R, S = shape
    return matrix.reshape(-1, R, S, C).transpose(0, 3, 1, 2)


def _groups(cache: ConvCache) -> Iterator[tuple[slice, slice]]:
    """Yield each group's run of input channels and of output channels."""
    O, C = cache.w.shape[:2]
    each = O // cache.groups
    for g in range(cache.groups):
        yield slice(g * C, (g + 1) * C), slice(g * each, (g + 1) * each)


def _chunks(cache: ConvCache, windows: int) -> Iterator[slice]:
    """Yield runs of images whose `cols` fit CHUNK_BYTES."""
    padded, w = cache.padded, cache.w
    per_image = windows * w[0].size * w.itemsize
    step = max(1, CHUNK_BYTES[module_of(w).__name__] // per_image)
    for start in range(0, len(padded), step):
        yield slice(start, start + step)


def _upstream_rows(dy: Floats, cache: ConvCache) -> tuple[Floats, Pair]:
    """Return dy (N, O, P, Q), checked, as channels-last rows (N, P, Q, O), and (P, Q)."""
    (N, H, W, _), w, steps = cache.padded.shape, cache.w, cache.steps
    P, Q = output_size((H, W), w.shape[2:], steps.stride, (0, 0), steps.dilation, "conv2d")
    check_upstream(dy, (N, len(w), P, Q), w.dtype, "conv2d")
    return dy.transpose(0, 2, 3, 1), (P, Q)


class Conv2d(Layer):
    """A convolution: `weight` (out_channels, in_channels/groups, R, S) and `bias` (out_channels,), at first 0."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        rng: np.random.Generator,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        init: str = "he",
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ConfigError(
                f"Conv2d has in_channels={in_channels}, out_channels={out_channels}, groups={groups}; "
                "all must be at least 1, and groups must divide both channel counts"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "Conv2d's kernel_size", 1)
        self.stride = pair(stride, "Conv2d's stride", 1)
        self.padding = pair(padding, "Conv2d's padding", 0)
        self.dilation = pair(dilation, "Conv2d's dilation", 1)
        area = self.kernel_size[0] * self.kernel_size[1]
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        fans = {"fan_in": in_channels // groups * area, "fan_out": out_channels // groups * area}
        self.params["weight"] = initial_weight(init, rng, shape, **fans)
        self.params["bias"] = np.zeros(out_channels, np.float32)

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, ConvCache]:
        w, b = self.params["weight"], self.params["bias"]
        return conv2d(x, w, b, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        dx, dw, db = conv2d_backward(dy, expect_cache(cache, ConvCache, self))
        return dx, {"weight": dw, "bias": db}

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        dw, db = conv2d_backward_parameters(dy, expect_cache(cache, ConvCache, self))
        return {"weight": dw, "bias": db}

    def config(self) -> Mapping[str, object]:
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3 or shape[0] != self.in_channels:
            raise ShapeError(f"{self!r} needs samples of shape ({self.in_channels}, H, W), but gets {shape}")
        return (
            self.out_channels,
            *output_size(shape, self.kernel_size, self.stride, self.padding, self.dilation, repr(self)),
        )

    def macs(self, shape: Shape) -> int:
        O, P, Q = self.output_shape(shape)
        return O * P * Q * int(self.params["weight"][0].size)
