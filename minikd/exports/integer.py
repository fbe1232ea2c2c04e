"""A network in whole numbers: 8-bit activations, weights of 8 bits or fewer, 32-bit sums, and no floats.

An activation h is stored as one byte a with h ≈ a·2^-m. Its scale is a power of two, and its zero point is 0, because h
comes from a ReLU. A pixel p is already such a byte, with m = 8. A weight w[o, c] is stored as a signed byte q[o, c]
with w ≈ q·2^-k[o], so each output has its own scale. For input bytes a of scale 2^-i, the layer's sum is

    y[o] = Σ_c w[o, c] h[c] + b[o] ≈ 2^-(i + k[o]) (Σ_c q[o, c] a[c] + B[o]),    B[o] = b[o]·2^(i + k[o]), rounded

So the integer in parentheses, u, is y in units of 2^-(i + k[o]). The next layer needs units of 2^-m:

    a'[o] = min(255, u / 2^r rounded),   r = i + k[o] - m >= 0,   and 0 for u <= 0: the ReLU

Rounding is to the nearest whole number, and a tie goes to the even neighbour, as in IEEE 754, in ONNX and in NumPy. For
u >= 0 and r >= 1, it needs neither floats nor 64 bits:

    u / 2^r rounded  =  (u + 2^(r-1) - 1 + bit r of u) >> r

Let u = n·2^r + f. If 2^(r-1) - 1 is added, it carries into n exactly if f > 2^(r-1). For an odd n, 1 more is added, so
the tie f = 2^(r-1) carries too. So n becomes n + 1 above the half, and at the half if n is odd.

The arithmetic is the same for smaller weights: q is in -127..127 for int8, -7..7 for int4, -1..1 for ternary.

The last layer has one k for all outputs. So the sums u are the logits in units of 2^-(i + k), and the largest logit has
the largest sum.

Why the results are the same everywhere. `quantize` ensures that |B[o]| + 255·Σ_c |q[o, c]| < 2^24 for each output. So
every partial sum, in any order, is a whole number below 2^24. Such numbers are exact in float32, and so are their
products with powers of two. Therefore NumPy's float32 product below gives the same integers as C's int32 loop,
JavaScript's doubles, and an ONNX runtime that works in integers or in float32.

Padding. A convolution on normalised images pads with 0, which is the mean pixel, not black. In raw pixels this is the
byte nearest to 255·mean (`QuantizedConv2d.border`). After a ReLU, the border is 0.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.nn.conv import conv2d
from minikd.nn.pooling import max_pool2d
from minikd.training.parallel import workers
from minikd.typing import Floats, HeightWidth, Shape

Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]

LEVELS = {"int8": 127, "int4": 7, "ternary": 1}
"""The kinds of weights, and the largest |q| of each."""

NONE = "none"
"""The kind that means float32, not whole numbers."""

EXACT = 2**24
"""All whole numbers below this are exact in float32."""

PIXEL_BITS = 8
"""The scale of a pixel: its byte times 2^-8."""

AT_ONCE = 100
"""The number of images that `integer_logits` computes together. Their activations fit into the cache."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """The common fields of a dense layer and a convolution.

    weight: q, int8, with the outputs as the first axis. bias: B, int32 (O,). input_bits: i. weight_bits: k, (O,).
    output_bits: m, or None for the last layer, which has no ReLU and returns its sums.
    """

    weight: Int8
    bias: Int32
    input_bits: int
    weight_bits: Int32
    output_bits: int | None

    @property
    def shift(self) -> Int32 | None:
        """r for each output, (O,), or None for the last layer."""
        return None if self.output_bits is None else self.input_bits + self.weight_bits - self.output_bits

    @cached_property
    def weight_float(self) -> Floats:
        """q as float32, for the product."""
        return self.weight.astype(np.float32)

    @cached_property
    def bias_float(self) -> Floats:
        """B as float32. It is exact, because it is below 2^24."""
        return self.bias.astype(np.float32)


@dataclass(frozen=True, eq=False)
class QuantizedLinear(Weighted):
    """A dense layer: weight (O, C)."""


@dataclass(frozen=True, eq=False)
class QuantizedConv2d(Weighted):
    """A convolution: weight (O, C/groups, R, S). border: the byte outside the image, for each input channel (C,)."""

    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth
    groups: int
    border: UInt8


@dataclass(frozen=True)
class QuantizedMaxPool2d:
    """The largest byte of each window. Padding is never the largest."""

    kernel_size: HeightWidth
    stride: HeightWidth
    padding: HeightWidth


@dataclass(frozen=True)
class QuantizedFlatten:
    """(N, C, H, W) to (N, C·H·W), one channel after the other, each row by row."""


QuantizedLayer = QuantizedLinear | QuantizedConv2d | QuantizedMaxPool2d | QuantizedFlatten


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A whole network. image: (C, H, W). logit_bits: a logit is its sum times 2^-logit_bits. kind: of `LEVELS`."""

    name: str
    image: Shape
    class_names: tuple[str, ...]
    layers: tuple[QuantizedLayer, ...]
    logit_bits: int
    kind: str = "int8"

    @property
    def size(self) -> int:
        """The bytes to store: 1 for each weight, 4 for each bias, 1 for each shift."""
        weighted = [layer for layer in self.layers if isinstance(layer, Weighted)]
        return sum(layer.weight.size + (4 if layer.shift is None else 5) * layer.bias.size for layer in weighted)


def check_kind(kind: object) -> str:
    """Return a kind of whole numbers, or "" for "none". Raises ConfigError."""
    if kind not in (NONE, *LEVELS):
        raise ConfigError(f"quantize is {kind!r}, but must be one of {', '.join((NONE, *LEVELS))}")
    return "" if kind == NONE else str(kind)


def integer_logits(model: QuantizedModel, pixels: UInt8) -> Int32:
    """Return the int32 sums (N, K) for raw pixels (N, C, H, W), uint8. Times 2^-logit_bits, they are the logits.

    Raises DtypeError and ShapeError if the images are not bytes in the model's image shape.
    """
    if pixels.dtype != np.uint8:
        raise DtypeError(f"an int8 model takes raw pixels, uint8 in 0-255, but got {pixels.dtype}; do not normalise")
    if pixels.ndim != 4 or pixels.shape[1:] != model.image:
        raise ShapeError(f"an int8 model of images {model.image} got {pixels.shape}, but needs (N, *{model.image})")
    with workers() as map_:
        parts = [*map_(lambda i: sums_of(model, pixels[i : i + AT_ONCE]), range(0, len(pixels), AT_ONCE))]
    return np.concatenate(parts) if parts else np.zeros((0, len(model.class_names)), np.int32)


def sums_of(model: QuantizedModel, pixels: UInt8) -> Int32:
    """Return the sums of the logits for a few images."""
    a: UInt8 | Int32 = pixels
    for layer in model.layers:
        a = apply(layer, a)
    return a.astype(np.int32)


def apply(layer: QuantizedLayer, a: UInt8 | Int32) -> UInt8 | Int32:
    """Return a layer's bytes, or the last layer's sums, for the bytes of its input."""
    match layer:
        case QuantizedFlatten():
            return a.reshape(len(a), math.prod(a.shape[1:]))
        case QuantizedMaxPool2d():
            best = max_pool2d(a.astype(np.float32), layer.kernel_size, layer.stride, layer.padding)[0]
            return best.astype(np.uint8)
        case QuantizedLinear():
            y: Floats = a.astype(np.float32) @ layer.weight_float.T  # (N, O) = (N, C) @ (C, O), exact
            return finished(layer, (y + layer.bias_float).astype(np.int32))
        case QuantizedConv2d():
            x: Floats = with_border(a, layer).astype(np.float32)
            sums, _ = conv2d(
                x, layer.weight_float, layer.bias_float, layer.stride, (0, 0), layer.dilation, layer.groups
            )
            return finished(layer, sums.astype(np.int32))


def with_border(a: UInt8 | Int32, layer: QuantizedConv2d) -> UInt8 | Int32:
    """Return the images with the layer's padding around them. Each channel has its own byte."""
    (ph, pw), (N, C, H, W) = layer.padding, a.shape
    wide = np.empty((N, H + 2 * ph, W + 2 * pw, C), a.dtype).transpose(0, 3, 1, 2)  # channels-last, as in conv2d
    wide[:] = layer.border[:, None, None]
    wide[:, :, ph : ph + H, pw : pw + W] = a
    return wide


def finished(layer: Weighted, sums: Int32) -> UInt8 | Int32:
    """Return the bytes for the next layer, or the sums if there is no next layer."""
    if layer.shift is None:
        return sums
    return requantize(sums, layer.shift.reshape(-1, *(1,) * (sums.ndim - 2)))


def requantize(sums: Int32, shift: Int32) -> UInt8:
    """Return min(255, max(0, sums)/2^shift), rounded half to even, as uint8. shift >= 0 broadcasts against sums."""
    u: Int32 = np.maximum(sums, 0)
    half = np.left_shift(1, np.maximum(shift - 1, 0))
    carry = np.where(shift > 0, half - 1 + (np.right_shift(u, shift) & 1), 0)
    byte: UInt8 = np.minimum(np.right_shift(u + carry, shift), 255).astype(np.uint8)
    return byte
