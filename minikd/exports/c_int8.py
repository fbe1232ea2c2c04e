"""A network in whole numbers as calls of C functions (`integer.py` has the arithmetic, `packing.py` the bytes)."""

import math

from minikd.exports.c_source import LOGITS, Source, Value, WindowMoves
from minikd.exports.integer import (
    QuantizedConv2d,
    QuantizedFlatten,
    QuantizedLinear,
    QuantizedMaxPool2d,
    QuantizedModel,
    Weighted,
)
from minikd.exports.packing import DENSE, stored
from minikd.nn.geometry import output_size
from minikd.nn.pooling import ONE
from minikd.typing import Shape


def integer_source(model: QuantizedModel) -> Source:
    """Return the C source of a network in whole numbers.

    It reads `image` and writes `logits`, the last layer's sums.
    """
    source, x = Source("uint8_t"), Value("image", model.image)
    for i, layer in enumerate(model.layers):
        if isinstance(layer, QuantizedFlatten):
            x = Value(x.name, (x.size,))
            continue
        after = output_shape(layer, x.shape)
        last = isinstance(layer, Weighted) and layer.output_bits is None
        y = Value(LOGITS if last else source.take(math.prod(after)), after)
        if isinstance(layer, QuantizedMaxPool2d):
            windows = WindowMoves(x.shape, after, layer.kernel_size, layer.stride, layer.padding)
            moves = source.moves(f"windows_{i}", windows)
            source.use("int8_max_pool2d")
            source.call("max_pool2d", x.name, moves, y.name)
        elif isinstance(layer, QuantizedLinear):
            linear(source, str(i), layer, model.kind, x, y)
        else:
            conv2d(source, str(i), layer, model.kind, x, y)
        source.release(x.name)
        x = y
    return source


def output_shape(layer: QuantizedLinear | QuantizedConv2d | QuantizedMaxPool2d, shape: Shape) -> Shape:
    """Return the shape of an output from the shape of an input."""
    match layer:
        case QuantizedLinear():
            return (len(layer.weight),)
        case QuantizedConv2d():
            kernel = (layer.weight.shape[2], layer.weight.shape[3])
            size = output_size(shape, kernel, layer.stride, layer.padding, layer.dilation, "conv2d")
            return (len(layer.weight), *size)
        case QuantizedMaxPool2d():
            return (shape[0], *output_size(shape, layer.kernel_size, layer.stride, layer.padding, ONE, "max_pool2d"))


def linear(source: Source, i: str, layer: QuantizedLinear, kind: str, x: Value, y: Value) -> None:
    """Add a dense layer from x to y."""
    outputs, inputs = layer.weight.shape
    storage, values = stored(layer.weight, kind)
    source.use("int8_linear_sum" if storage == "int8" else f"sum_{storage}")
    weights = source.array(f"weight_{i}", layer.weight if storage == "int8" else values), biases(source, i, layer)
    function = finished_by(source, layer, "linear", storage)
    source.call(function, x.name, inputs, outputs, *weights, *shifts(source, i, layer), y.name)


def conv2d(source: Source, i: str, layer: QuantizedConv2d, kind: str, x: Value, y: Value) -> None:
    """Add a convolution from x to y. Its weights are never stored as lists without zeros."""
    kernel = (layer.weight.shape[2], layer.weight.shape[3])
    windows = WindowMoves(x.shape, y.shape, kernel, layer.stride, layer.padding, layer.dilation, layer.groups)
    moves = source.moves(f"windows_{i}", windows)
    if kind == "int8":
        source.use("int8_conv2d_sum")
        weight = source.array(f"weight_{i}", layer.weight)
    else:
        source.use(f"at_{kind}", f"packed_conv2d_sum:{kind}")
        weight = source.array(f"weight_{i}", DENSE[kind](layer.weight.reshape(1, -1)))
    bias, border = biases(source, i, layer), source.array(f"border_{i}", layer.border)
    function = finished_by(source, layer, "conv2d", kind)
    source.call(function, x.name, moves, weight, bias, *shifts(source, i, layer), border, y.name)


def biases(source: Source, i: str, layer: Weighted) -> str:
    """Add a layer's biases."""
    return source.array(f"bias_{i}", layer.bias)


def shifts(source: Source, i: str, layer: Weighted) -> list[str]:
    """Add the shifts that turn a layer's sums into bytes. The last layer has none."""
    return [] if layer.shift is None else [source.array(f"shift_{i}", layer.shift.astype("u1"))]


def finished_by(source: Source, layer: Weighted, name: str, storage: str) -> str:
    """Return the function of a layer with weights in this storage. Its outputs are bytes, or the last layer's sums."""
    if layer.shift is not None:
        source.use("int8_requantized")
    name = name if layer.shift is not None else f"{name}_last"
    source.use(f"int8_{name}" if storage == "int8" else f"packed_{name}:{storage}")
    return name if storage == "int8" else f"{name}_{storage}"
