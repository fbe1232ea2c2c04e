"""A network in float32 as calls of C functions: every layer of the package."""

import math

import numpy as np

from minikd.backends import to_host
from minikd.exports.c_source import LOGITS, Source, Value, WindowMoves, c_float
from minikd.exports.chain import NamedLayer, flat, float32
from minikd.exports.packing import LONGEST_GAP, nonzero_entries
from minikd.nn import (
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)
from minikd.nn.layer import Layer
from minikd.typing import Shape
from minikd.weights import Card

ELEMENTWISE = {ReLU: "relu", LeakyReLU: "leaky_relu", Sigmoid: "sigmoid", Tanh: "hyperbolic_tangent", GELU: "gelu"}
POOLS = {MaxPool2d: "max_pool2d", AvgPool2d: "avg_pool2d"}

NEEDS_MATH = ("float_sigmoid", "float_hyperbolic_tangent", "float_gelu", "float_layer_norm")
"""The parts that need <math.h>."""


def float_source(model: Sequential, card: Card) -> Source:
    """Return the C source of a network in float32. It reads `image`, bytes, and writes `logits`. Raises ConfigError."""
    source, layers = Source("float"), flat(model)
    empty = all(isinstance(named.layer, Flatten) for named in layers)
    x = Value(LOGITS if empty else source.take(math.prod(card.image)), card.image)
    mean, std = np.array(card.mean), np.array(card.std)
    line = (
        source.array("pixel_scale", float32(1 / (255 * std))),
        source.array("pixel_shift", float32(mean / std)),
    )
    source.use("float_normalize")
    source.call("normalize", "image", card.image[0], math.prod(card.image[1:]), *line, x.name)
    chain(source, layers, x, LOGITS)
    return source


def chain(source: Source, layers: list[NamedLayer], x: Value, target: str | None) -> Value:
    """Add layers one after the other, and return the output of the last one, which is written to `target`."""
    last = max((i for i, named in enumerate(layers) if not isinstance(named.layer, Flatten)), default=-1)
    for i, named in enumerate(layers):
        x = add(source, named, x, target if i == last else None)
    return x


def add(source: Source, named: NamedLayer, x: Value, target: str | None) -> Value:
    """Add a layer, and return its output. After that, the buffer of its input is free."""
    layer, after = named.layer, named.layer.output_shape(x.shape)
    if isinstance(layer, Flatten):
        return Value(x.name, after)
    if isinstance(layer, Residual):
        return residual(source, named, x, target)
    i, size = named.name.replace(".", "_"), math.prod(after)
    overwrites = type(layer) in ELEMENTWISE or isinstance(layer, BatchNorm1d | BatchNorm2d | LayerNorm)
    y = target or (source.in_place(x.name, size) if overwrites else source.take(size))
    function, arguments = operation(source, i, layer, x.shape, after)
    source.use(f"float_{function}")
    source.call(function, x.name, *arguments, y)
    if y != x.name:
        source.release(x.name)
    return Value(y, after)


def residual(source: Source, named: NamedLayer, x: Value, target: str | None) -> Value:
    """Add a block, x + f(x). The buffer of x is kept until the sum."""
    block = named.layer
    assert isinstance(block, Residual)
    source.hold(x.name)
    f = chain(source, flat(block, f"{named.name}."), x, None)
    source.let_go(x.name)
    y = target or source.in_place(f.name, f.size)
    source.use("float_add")
    source.call("add", x.name, f.name, f.size, y)
    for used in {x.name, f.name} - {y}:
        source.release(used)
    return Value(y, x.shape)


def operation(source: Source, i: str, layer: Layer, before: Shape, after: Shape) -> tuple[str, tuple[object, ...]]:
    """Return the C function of a layer, and the arguments between input and output."""
    channels, area = before[0], math.prod(before[1:])
    match layer:
        case Linear():
            return linear(source, i, layer)
        case Conv2d():
            moves = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
            windows = source.moves(f"windows_{i}", WindowMoves(before, after, *moves))
            return "conv2d", (windows, *parameters(source, i, layer))
        case MaxPool2d() | AvgPool2d():
            pool = WindowMoves(before, after, layer.kernel_size, layer.stride, layer.padding)
            return POOLS[type(layer)], (source.moves(f"windows_{i}", pool),)
        case GlobalAvgPool2d():
            return "global_avg_pool2d", (channels, area)
        case BatchNorm1d() | BatchNorm2d():
            return "batch_norm", (channels, area, *batch_norm_line(source, i, layer))
        case LayerNorm():
            size = math.prod(layer.normalized_shape)
            return "layer_norm", (math.prod(before) // size, size, *parameters(source, i, layer), c_float(layer.eps))
        case LeakyReLU():
            return "leaky_relu", (math.prod(before), c_float(layer.negative_slope))
        case _:
            return ELEMENTWISE[type(layer)], (math.prod(before),)


def linear(source: Source, i: str, layer: Linear) -> tuple[str, tuple[object, ...]]:
    """Return the function of a dense layer. It is the one that skips zeros if that takes fewer bytes."""
    sizes, weight = (layer.in_features, layer.out_features), float32(layer.params["weight"])
    entries = [[*nonzero_entries(row, LONGEST_GAP["int8"])] for row in weight]
    values = np.array([value for row in entries for _, value in row], np.float32)
    gaps = [byte for row in entries for byte in (len(row) % 256, len(row) // 256, *(gap for gap, _ in row))]
    if values.nbytes + len(gaps) >= weight.nbytes:
        return "linear", (*sizes, *parameters(source, i, layer))
    stored = source.array(f"weight_{i}", values), source.array(f"gaps_{i}", np.array(gaps, np.uint8))
    return "sparse_linear", (*sizes, *stored, source.array(f"bias_{i}", float32(layer.params["bias"])))


def parameters(source: Source, i: str, layer: Layer) -> list[str]:
    """Add a layer's weight and bias."""
    return [source.array(f"{name}_{i}", float32(value)) for name, value in layer.params.items()]


def batch_norm_line(source: Source, i: str, layer: BatchNorm1d | BatchNorm2d) -> tuple[str, str]:
    """Add γ/√(σ² + ε) and β - μ·γ/√(σ² + ε): batch norm multiplies by the first and adds the second."""
    gamma, beta = (to_host(layer.params[name]).astype(np.float64) for name in ("weight", "bias"))
    mean, var = (to_host(layer.state[name]).astype(np.float64) for name in ("running_mean", "running_var"))
    scale = gamma / np.sqrt(var + layer.eps)
    return source.array(f"scale_{i}", float32(scale)), source.array(f"shift_{i}", float32(beta - mean * scale))
