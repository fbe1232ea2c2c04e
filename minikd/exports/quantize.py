"""Turns a trained network into whole numbers: chooses the scales and keeps the bound of `integer.py`.

The first layer gets raw pixels p. The network was trained on (p/255 - μ)/σ. That is linear in p, so the layer includes
it:

    Σ_c w[c] (p[c]/255 - μ[c])/σ[c] + b = Σ_c w'[c] (p[c]·2^-8) + b'
    w'[c] = w[c]·256/(255 σ[c])        b' = b - Σ_c w[c] μ[c]/σ[c]

A convolution pads with the normalised 0, which is p = 255 μ. The border is the nearest byte, so b' is the same
everywhere. The error at the border is w·(border/255 - μ)/σ, which is below w/(510 σ) for each weight there.

The scale 2^-k[o] of an output's weights is the finest one for which the largest |q| is at most 127 and |B| + 255·Σ|q| <
2^24. (-128 is not used, because a byte has no +128.)

Int4 and ternary have few levels, so the largest weight should not determine the scale. Their scale is the one with the
smallest squared error, and larger weights are clipped. If a student was trained with rounding (`minikd.compression`),
its weights are already on such a scale, and the error is 0.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from minikd.data import Views
from minikd.errors import ConfigError, DtypeError
from minikd.exports.calibration import HIGHEST, LOWEST, RULES
from minikd.exports.chain import NamedLayer, flat
from minikd.exports.integer import (
    EXACT,
    LEVELS,
    PIXEL_BITS,
    Int32,
    QuantizedConv2d,
    QuantizedFlatten,
    QuantizedLayer,
    QuantizedLinear,
    QuantizedMaxPool2d,
    QuantizedModel,
)
from minikd.nn import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from minikd.nn.folding import fold
from minikd.nn.layer import Layer
from minikd.training.parallel import workers
from minikd.typing import Floats, Pixels
from minikd.weights import Card

Doubles = npt.NDArray[np.float64]

CALIBRATION_IMAGES = 250
"""The number of training images, evenly spread over the set, for the activations' scales.

1,000 gave the same scales.
"""

LARGEST_SHIFT = 24
"""A shift by more bits gives 0 for all sums below 2^24."""

FINEST_LOGITS = 24
"""The most bits for the weights of a last layer. Tiny weights would need more."""

CLIPPED = 5
"""The number of scales that are tried for int4 and ternary weights. Each is half of the one before."""

FLOAT = "export float32, without --int8 or --quantize"


class AffineMap(NamedTuple):
    """The numbers of a layer in float64: w', b', and the byte around each input channel."""

    weight: Doubles
    bias: Doubles
    border: Doubles


class FusedLayer(NamedTuple):
    """A layer of the folded network, and whether a ReLU follows it."""

    named: NamedLayer
    relu: bool


def quantize(
    model: Sequential, card: Card, images: Pixels, rule: str = "squared_error", kind: str = "int8"
) -> QuantizedModel:
    """Return the network in whole numbers. `images` (N, C, H, W) are raw training pixels in uint8.

    rule: the rule for the activations' scales, a name in `calibration.RULES`. A model that was trained with scales
    keeps them. kind: the kind of weights, a name in `integer.LEVELS`. Raises ConfigError for a layer that whole numbers
    do not support, with its name and the reason, and DtypeError for pixels that are not bytes.
    """
    if kind not in LEVELS:
        raise ConfigError(f"the kind of weights is {kind!r}, but must be one of {', '.join(LEVELS)}")
    check_trained_bits(model)
    if images.dtype != np.uint8:
        raise DtypeError(f"int8 takes pixels as bytes, uint8 in 0-255, but these images are {images.dtype}; {FLOAT}")
    steps = steps_of(model)
    scales = iter(model.activation_bits or activation_bits(steps, card, images, rule))
    input_bits, layers = PIXEL_BITS, list[QuantizedLayer]()
    first = next(i for i, step in enumerate(steps) if isinstance(step.named.layer, Linear | Conv2d))
    for i, (named, relu) in enumerate(steps):
        layer = named.layer
        if isinstance(layer, Linear | Conv2d):
            terms = affine_of_pixels(layer, card) if i == first else affine_of_bytes(layer)
            made = quantized(named, terms, input_bits, next(scales) if relu else None, LEVELS[kind])
            layers.append(made)
            input_bits = made.output_bits if made.output_bits is not None else input_bits + int(made.weight_bits[0])
        elif isinstance(layer, MaxPool2d):
            layers.append(QuantizedMaxPool2d(layer.kernel_size, layer.stride, layer.padding))
        else:
            layers.append(QuantizedFlatten())
    return QuantizedModel(card.name, card.image, card.class_names, tuple(layers), input_bits, kind)


def steps_of(model: Sequential) -> list[FusedLayer]:
    """Return the layers in float64, with batch norm folded in, and each ReLU directly after its weights.

    Raises ConfigError.
    """
    layers = folded([NamedLayer(name, layer.astype("float64")) for name, layer in flat(model)])
    steps: list[FusedLayer] = []
    for named in layers:
        if not isinstance(named.layer, ReLU):
            steps.append(FusedLayer(named, False))
        elif weights := last_weights(steps):
            # A ReLU and a max pooling can be exchanged: both orders give the ReLU of the largest.
            steps[weights - 1] = steps[weights - 1]._replace(relu=True)
        else:
            raise ConfigError(
                f"{named} comes before all weights, on normalised pixels, which int8 does not have; {FLOAT}"
            )
    check(steps)
    return steps


def check_trained_bits(model: Sequential) -> None:
    """Refuse trained scales that do not fit the model's layers. Raises ConfigError."""
    bits, relus = model.activation_bits, sum(isinstance(named.layer, ReLU) for named in flat(model))
    if bits and (len(bits) != relus or not all(LOWEST <= one <= HIGHEST for one in bits)):
        raise ConfigError(
            f"the model says that its activations were rounded with the bits {bits}, but needs {relus} of them, from "
            f"{LOWEST} to {HIGHEST}; remove them: model.activation_bits = ()"
        )


def last_weights(steps: list[FusedLayer]) -> int:
    """Return the number of steps up to the last dense layer or convolution, or 0 if there is none."""
    places = (i for i, step in enumerate(steps, 1) if isinstance(step.named.layer, Linear | Conv2d))
    return max(places, default=0)


def folded(layers: list[NamedLayer]) -> list[NamedLayer]:
    """Return the layers with each batch norm folded into the weights before it, even if a pooling is between them."""
    kept: list[NamedLayer] = []
    for named in layers:
        if isinstance(named.layer, BatchNorm1d | BatchNorm2d):
            fold_back(named, named.layer, kept)
        elif isinstance(named.layer, Linear | Conv2d | MaxPool2d | Flatten | ReLU):
            kept.append(named)
        else:
            raise ConfigError(f"{named}: {reason(named.layer)}; {FLOAT}")
    return kept


def fold_back(named: NamedLayer, norm: BatchNorm1d | BatchNorm2d, before: list[NamedLayer]) -> None:
    """Fold a batch norm into the last weights of `before`. Raises ConfigError if that is impossible."""
    place = next((i for i, one in reversed([*enumerate(before)]) if not isinstance(one.layer, MaxPool2d)), None)
    target = None if place is None else before[place].layer
    if place is None or not isinstance(target, Linear | Conv2d):
        raise ConfigError(
            f"{named} does not directly follow a dense layer or convolution, so it cannot be folded; {FLOAT}"
        )
    falling = np.flatnonzero(norm.params["weight"] < 0)
    if place + 1 < len(before) and falling.size:
        raise ConfigError(
            f"{named} follows a pooling and turns channel {falling[0]} upside down (its weight is negative), so it "
            f"cannot be folded into the layer before the pooling; {FLOAT}"
        )
    fold(target, norm)


def reason(layer: Layer) -> str:
    """Return why whole numbers do not support a layer."""
    match layer:
        case AvgPool2d() | GlobalAvgPool2d():
            return "int8 has no mean of bytes, which would be rounded a second time"
        case LayerNorm():
            return "int8 has no square root, which every image would need its own of"
        case Residual():
            return "int8 has no sum of two activations, which have two scales"
        case _:
            return "int8 knows no activation but ReLU, whose bytes start at 0"


def check(steps: list[FusedLayer]) -> None:
    """Refuse a network without weights, and weights without a ReLU after them before the last layer.

    Raises ConfigError.
    """
    weighted = [step for step in steps if isinstance(step.named.layer, Linear | Conv2d)]
    if not weighted:
        raise ConfigError(f"there is no dense layer or convolution to export in whole numbers; {FLOAT}")
    for step, after in pairwise(weighted):
        if not step.relu:
            raise ConfigError(
                f"{step.named} has no ReLU before {after.named}: its outputs may be negative, but int8 needs outputs "
                f"of at least 0; {FLOAT}"
            )
    if weighted[-1].relu:
        raise ConfigError(f"{weighted[-1].named} is the last layer and has a ReLU, so logits below 0 are lost; {FLOAT}")
    tail = steps[last_weights(steps) :]
    if any(isinstance(step.named.layer, MaxPool2d) for step in tail):
        raise ConfigError(f"{tail[0].named} pools the logits, which int8 does not support; {FLOAT}")
    for step in weighted:
        if not all(np.isfinite(value).all() for value in step.named.layer.params.values()):
            raise ConfigError(f"{step.named} holds NaN or infinity, so no answer can be right; train again")


def activation_bits(steps: list[FusedLayer], card: Card, images: Pixels, rule: str) -> list[int]:
    """Return m for each ReLU, from the float network's activations for some training images."""
    bits: list[int] = []
    chosen = calibration_images(images)
    x: Floats = Views(chosen, np.zeros(len(chosen), int), card.mean, card.std).clean()
    with workers(1):  # BLAS on one thread: several threads wait for each other if the machine is busy
        for named, relu in steps[: last_weights(steps)]:
            x = named.layer.astype("float32").forward(x)[0]
            if relu:
                x = np.maximum(x, 0)
                bits.append(RULES[rule](x))
    return bits


def calibration_images(images: Pixels) -> Pixels:
    """Return the training images for choosing the scales."""
    places = np.linspace(0, len(images) - 1, min(CALIBRATION_IMAGES, len(images))).astype(int)
    chosen: Pixels = images[places]
    return chosen


def affine_of_pixels(layer: Linear | Conv2d, card: Card) -> AffineMap:
    """Return w', b' and the border of the first layer, which gets raw pixels."""
    mean, std = np.array(card.mean), np.array(card.std)
    weight, bias = float64_parameters(layer)
    if isinstance(layer, Linear):
        channel = np.arange(layer.in_features) // (layer.in_features // len(mean))  # (C,), the same for all outputs
    else:
        group = np.arange(layer.out_channels) // (layer.out_channels // layer.groups)
        channel = group[:, None] * weight.shape[1] + np.arange(weight.shape[1])  # (O, C/groups)
        channel = channel[:, :, None, None]
    offset = (weight * (mean / std)[channel]).reshape(len(weight), -1).sum(1)
    return AffineMap(weight * (256 / (255 * std))[channel], bias - offset, np.rint(255 * mean))


def affine_of_bytes(layer: Linear | Conv2d) -> AffineMap:
    """Return w, b and the border, 0, of a layer that gets the bytes of another layer."""
    channels = layer.in_channels if isinstance(layer, Conv2d) else 1
    return AffineMap(*float64_parameters(layer), np.zeros(channels))


def float64_parameters(layer: Linear | Conv2d) -> tuple[Doubles, Doubles]:
    """Return a layer's weight and bias in float64."""
    return layer.params["weight"].astype(np.float64), layer.params["bias"].astype(np.float64)


def quantized(
    named: NamedLayer, terms: AffineMap, input_bits: int, output_bits: int | None, Q: int
) -> QuantizedLinear | QuantizedConv2d:
    """Return a layer in whole numbers. Without output_bits it is the last layer, with one scale for all outputs."""
    (weight, bias, border), layer = terms, named.layer
    rows = weight.reshape(len(weight), -1)
    if output_bits is None:
        bits = best_bits(rows, bias, input_bits, FINEST_LOGITS, Q, shared=True)
    else:
        bits = best_bits(rows, bias, input_bits, output_bits + LARGEST_SHIFT - input_bits, Q)
        output_bits = min(output_bits, input_bits + int(bits.min()))  # a byte cannot have a finer scale than its sum
        bits = np.minimum(bits, output_bits + LARGEST_SHIFT - input_bits)
    q, sums = as_whole_numbers(rows, bias, input_bits, bits, Q)
    shape, shared = weight.shape, (sums.astype(np.int32), input_bits, bits, output_bits)
    if isinstance(layer, Conv2d):
        moves = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return QuantizedConv2d(q.astype(np.int8).reshape(shape), *shared, *moves, border.astype(np.uint8))
    return QuantizedLinear(q.astype(np.int8), *shared)


def best_bits(rows: Doubles, bias: Doubles, input_bits: int, most: int, Q: int, shared: bool = False) -> Int32:
    """Return k, at most `most`, for each row of weights (O, n). With `shared`, all rows have the same k.

    For int8, it is the finest k that clips no weight. For fewer levels, it is the k with the smallest squared error. If
    several k have it, it is the coarsest.
    """
    bits = largest_exponents(rows, bias, input_bits, most, Q)
    if shared:
        bits[:] = bits.min()
    if LEVELS["int8"] == Q:
        return bits
    tried = np.minimum(bits + np.arange(CLIPPED, dtype=np.int32)[:, None], most)  # (T, O)
    errors = np.stack([squared_errors(rows, bias, input_bits, one, Q) for one in tried])
    if shared:
        errors = np.broadcast_to(errors.sum(1, keepdims=True), errors.shape)
    best: Int32 = np.take_along_axis(tried, errors.argmin(0)[None], 0)[0]
    return best


def squared_errors(rows: Doubles, bias: Doubles, input_bits: int, bits: Int32, Q: int) -> Doubles:
    """Return each row's sum of squared rounding errors (O,).

    It is infinite if the row's sums could exceed the bound.
    """
    q, sums = as_whole_numbers(rows, bias, input_bits, bits, Q)
    found: Doubles = np.square(rows - q * 2.0 ** -bits[:, None].astype(float)).sum(1)
    return np.where(np.abs(sums) + 255 * np.abs(q).sum(1) < EXACT, found, np.inf)


def largest_exponents(rows: Doubles, bias: Doubles, input_bits: int, most: int, Q: int) -> Int32:
    """Return the largest k, at most `most`, for each row of weights (O, n), that keeps q and the sums in bounds."""
    largest = np.abs(rows).max(1)
    bits = np.full(len(rows), most, np.int32)
    active = largest > 0
    bits[active] = np.minimum(most, np.ceil(np.log2((Q + 1) / largest[active]))).astype(np.int32)
    while True:
        q, sums = as_whole_numbers(rows, bias, input_bits, bits)
        over = (np.abs(q).max(1) > Q) | (np.abs(sums) + 255 * np.abs(q).sum(1) >= EXACT)
        if not over.any():
            return bits
        bits[over] -= 1


def as_whole_numbers(
    rows: Doubles, bias: Doubles, input_bits: int, bits: Int32, Q: int = EXACT
) -> tuple[Doubles, Doubles]:
    """Return q (O, n), clipped to -Q..Q, and B (O,), rounded half to even, as whole numbers in float64."""
    q = np.clip(np.rint(rows * 2.0 ** bits[:, None]), -Q, Q)
    return q, np.rint(bias * 2.0 ** (input_bits + bits))
