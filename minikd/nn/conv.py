"""Convolution (in mathematics it is called cross-correlation) as one matrix product.

    y[n, o, p, q] = b[o] + Σ_{c,r,s} x̄[n, c, p·sy + r·δy, q·sx + s·δx] w[o, c, r, s]

x̄ is the zero-padded input, s the stride and δ the dilation. Let row (n, p, q) of the matrix `cols` hold the window
that output (n, p, q) sees. Then y = cols wᵀ + b is a dense layer over windows. Its backward pass is that of the dense
layer, followed by the adjoint (the transposed linear map) of "take windows":

    dw = dyᵀ cols          db = Σ_{n,p,q} dy          dcols = dy w
    dx̄[i] = Σ of dcols over all windows and positions that read x̄[i]

Why the last line is the adjoint: taking windows is a linear map. Each row of its matrix has a single 1, at the pixel
that it reads. So the transposed matrix adds each entry back to that pixel. dx is dx̄ without the border of the padding.

At stride 1, the sum can also go over the windows that read a pixel. Window (i - r·δy, j - s·δx) read pixel (i, j) at
its position (r, s), so

    dx̄[n, c, i, j] = Σ_{o,r,s} dy[n, o, i - r·δy, j - s·δx] w[o, c, r, s]        dy = 0 where there is no window

This is again a convolution: of dy, with kernels that are rotated by 180 degrees, and with input and output channels
exchanged. It writes dx once. The adjoint adds to dx R·S times.

`cols` is R·S times as large as x. So only a piece of it exists at a time (`windows.pieces`), and the backward pass
makes the pieces again. Shapes are NCHW, but in memory the arrays are channels-last, also after ReLU and pooling. So the
transposes below are views.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.checks import whole_number
from minikd.errors import ConfigError, ShapeError
from minikd.nn.geometry import check_image, output_size, pair
from minikd.nn.initialization import initial_weight
from minikd.nn.layer import Grads, Layer, check_parameters, check_upstream, expect_cache, named_gradients
from minikd.nn.products import column_sums, inner_product, product, tall_product
from minikd.nn.windows import Steps, add_windows, pad, pieces, runs
from minikd.typing import Floats, HeightWidth, Shape


class ConvCache(NamedTuple):
    """The padded input, channels-last (N, H + 2·ph, W + 2·pw, C); the weight (O, C/groups, R, S); how windows move."""

    padded: Floats
    w: Floats
    steps: Steps
    groups: int


def conv2d(
    x: Floats,
    w: Floats,
    b: Floats | None = None,
    stride: int | HeightWidth = 1,
    padding: int | HeightWidth = 0,
    dilation: int | HeightWidth = 1,
    groups: int = 1,
) -> tuple[Floats, ConvCache]:
    """Return the convolution y (N, O, P, Q) and the cache.

    Shapes: x (N, C, H, W), w (O, C/groups, R, S), b (O,) or None, all float32 or all float64. With groups, the input
    channels and the output channels are divided into `groups` parts, and each part of the output sees only its part of
    the input. Raises ShapeError, DtypeError, and ConfigError for an impossible stride, padding or dilation.
    """
    check_parameters(x, w, b, 4, "conv2d")
    steps, groups = checked_steps(stride, padding, dilation, "conv2d"), whole_number(groups, "conv2d's groups", 1)
    check_image(x, w.shape[1] * groups, "conv2d")
    check_groups(x.shape[1], len(w), groups, "conv2d")
    N, O = len(x), len(w)
    P, Q = output_size(x.shape, w.shape[2:], *steps, "conv2d")
    cache = ConvCache(pad(x, steps.padding), w, steps, groups)
    y = module_of(x).empty((N * P * Q, O), x.dtype)
    for run_in, run_out in _groups(cache):
        matrix = w[run_out].transpose(2, 3, 1, 0).reshape(-1, O // groups)  # rows in the order of a window's pixels
        for rows, cols in pieces(cache.padded[..., run_in], w.shape[2:], cache.steps, (P, Q)):
            tall_product(cols, matrix, y[rows, run_out])  # (NPQ, O) = (NPQ, RSC) @ (RSC, O)
            if b is not None:
                y[rows, run_out] += b[run_out]  # here, while these rows are in the cache
    return y.reshape(N, P, Q, O).transpose(0, 3, 1, 2), cache


def checked_steps(
    stride: int | HeightWidth, padding: int | HeightWidth, dilation: int | HeightWidth, where: str
) -> Steps:
    """Return stride, padding and dilation, or refuse impossible ones."""
    return Steps(
        pair(stride, f"{where}'s stride", 1),
        pair(padding, f"{where}'s padding", 0),
        pair(dilation, f"{where}'s dilation", 1),
    )


def check_groups(in_channels: int, out_channels: int, groups: int, where: str) -> None:
    """Refuse groups that do not divide both numbers of channels, because some channels would never be computed."""
    if in_channels % groups or out_channels % groups:
        raise ConfigError(
            f"{where} has in_channels={in_channels}, out_channels={out_channels}, groups={groups}; "
            "groups must divide both channel counts"
        )


def conv2d_backward(dy: Floats, cache: ConvCache) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C, H, W), dw (O, C/groups, R, S), db (O,) from dy (N, O, P, Q)."""
    dw, db = conv2d_backward_parameters(dy, cache)
    return conv2d_backward_input(dy, cache), dw, db


def conv2d_backward_parameters(dy: Floats, cache: ConvCache) -> tuple[Floats, Floats]:
    """Return dw and db: the windows are taken again and multiplied by the gradients of their outputs."""
    (padded, w, steps, _), outputs = cache, _check_upstream(dy, cache)
    O, C, R, S = w.shape
    xp = module_of(dy)
    g = dy.transpose(0, 2, 3, 1).reshape(-1, O)  # (NPQ, O)
    dw = xp.empty(w.shape, w.dtype)
    for run_in, run_out in _groups(cache):
        total = xp.zeros((R * S * C, O // cache.groups), w.dtype)
        for rows, cols in pieces(padded[..., run_in], (R, S), steps, outputs):
            total += inner_product(cols, g[rows, run_out])  # (RSC, O) = (RSC, NPQ) @ (NPQ, O)
        dw[run_out] = total.reshape(R, S, C, -1).transpose(3, 2, 0, 1)
    return dw, column_sums(g)


def conv2d_backward_input(dy: Floats, cache: ConvCache) -> Floats:
    """Return dx."""
    _check_upstream(dy, cache)
    steps, (R, S) = cache.steps, cache.w.shape[2:]
    border = steps.dilation[0] * (R - 1) - steps.padding[0], steps.dilation[1] * (S - 1) - steps.padding[1]
    if steps.stride == (1, 1) and min(border) >= 0:
        return _convolved(dy, cache, border)
    return _scatter_windows(dy, cache)


def _convolved(dy: Floats, cache: ConvCache, border: HeightWidth) -> Floats:
    """Return dx at stride 1: dy with a border of zeros, convolved with the kernels rotated by 180 degrees."""
    w, (N, C, H, W) = cache.w, _image(cache)
    dx = module_of(dy).empty((N * H * W, C), dy.dtype)
    wide, moves = pad(dy, border), Steps((1, 1), (0, 0), cache.steps.dilation)
    for run_in, run_out in _groups(cache):
        turned = w[run_out, :, ::-1, ::-1].transpose(2, 3, 0, 1).reshape(-1, w.shape[1])
        for rows, cols in pieces(wide[..., run_out], w.shape[2:], moves, (H, W)):
            tall_product(cols, turned, dx[rows, run_in])  # (NHW, C) = (NHW, RSO) @ (RSO, C)
    image: Floats = dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return image


def _scatter_windows(dy: Floats, cache: ConvCache) -> Floats:
    """Return dx at any stride: the gradient of each window is added to the pixels that the window read."""
    padded, w, steps, _ = cache
    kernel, outputs = w.shape[2:], dy.shape[2:]
    dpadded = module_of(dy).zeros(padded.shape, dy.dtype)
    for run_in, run_out in _groups(cache):
        matrix = w[run_out].transpose(0, 2, 3, 1).reshape(run_out.stop - run_out.start, -1)
        for images in runs(padded[..., run_in], kernel, outputs):
            g = dy[images, run_out].transpose(0, 2, 3, 1).reshape(-1, len(matrix))
            dcols = product(g, matrix)  # (NPQ, RSC) = (NPQ, O) @ (O, RSC)
            add_windows(dpadded[images, :, :, run_in], dcols, kernel, steps, outputs)
    (ph, pw), (_, _, H, W) = steps.padding, _image(cache)
    dx: Floats = dpadded[:, ph : ph + H, pw : pw + W].transpose(0, 3, 1, 2)
    return dx


def _groups(cache: ConvCache) -> Iterator[tuple[slice, slice]]:
    """Yield the slices of each group's input channels and output channels."""
    O, C = cache.w.shape[:2]
    each = O // cache.groups
    for g in range(cache.groups):
        yield slice(g * C, (g + 1) * C), slice(g * each, (g + 1) * each)


def _image(cache: ConvCache) -> tuple[int, int, int, int]:
    """Return the shape of x."""
    (N, H, W, C), (ph, pw) = cache.padded.shape, cache.steps.padding
    return N, C, H - 2 * ph, W - 2 * pw


def _check_upstream(dy: Floats, cache: ConvCache) -> HeightWidth:
    """Return (P, Q), or refuse a dy that is not (N, O, P, Q) in the weights' dtype."""
    (N, H, W, _), w, steps = cache.padded.shape, cache.w, cache.steps
    P, Q = output_size((H, W), w.shape[2:], steps.stride, (0, 0), steps.dilation, "conv2d")
    check_upstream(dy, (N, len(w), P, Q), w.dtype, "conv2d")
    return P, Q


class Conv2d(Layer):
    """A convolution with `weight` (out_channels, in_channels/groups, R, S) and, unless `bias` is False, `bias`.

    The bias (out_channels,) starts at 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | HeightWidth,
        rng: np.random.Generator,
        stride: int | HeightWidth = 1,
        padding: int | HeightWidth = 0,
        dilation: int | HeightWidth = 1,
        groups: int = 1,
        init: str = "he",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = C, O, groups = (
            whole_number(in_channels, "Conv2d's in_channels", 1),
            whole_number(out_channels, "Conv2d's out_channels", 1),
            whole_number(groups, "Conv2d's groups", 1),
        )
        check_groups(C, O, groups, "Conv2d")
        self.kernel_size = pair(kernel_size, "Conv2d's kernel_size", 1)
        self.stride, self.padding, self.dilation = checked_steps(stride, padding, dilation, "Conv2d")
        area = self.kernel_size[0] * self.kernel_size[1]
        shape, fans = (O, C // groups, *self.kernel_size), (C // groups * area, O // groups * area)
        self.params["weight"] = initial_weight(init, rng, shape, *fans, "Conv2d's weight")
        if bias:
            self.params["bias"] = np.zeros(O, np.float32)

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, ConvCache]:
        w, b = self.params["weight"], self.params.get("bias")
        return conv2d(x, w, b, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        dx, dw, db = conv2d_backward(dy, expect_cache(cache, ConvCache, self))
        return dx, named_gradients(self, dw, db)

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        dw, db = conv2d_backward_parameters(dy, expect_cache(cache, ConvCache, self))
        return named_gradients(self, dw, db)

    def config(self) -> Mapping[str, object]:
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        found = {name: getattr(self, name) for name in names}
        return found if "bias" in self.params else {**found, "bias": False}

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
