"""A network in whole numbers as calls of C functions (`integer.py` has the arithmetic)."""

import math

from minikd.exports.c_source import LOGITS, Source, WindowMoves
from minikd.exports.integer import (
    QuantizedConv2d,
    QuantizedFlatten,
    QuantizedLinear,
    QuantizedMaxPool2d,
    QuantizedModel,
    Weighted,
)
from minikd.nn.geometry import output_size
from minikd.nn.pooling import ONE
from minikd.typing import Shape


def integer_source(model: QuantizedModel) -> Source:
    """Return the C of a network in whole numbers: it reads `image` and writes `logits`, its last layer's sums."""
    source, x, shape = Source("uint8_t"), "image", model.image
    for i, layer in enumerate(model.layers):
        if isinstance(layer, QuantizedFlatten):
            shape = (math.prod(shape),)
            continue
        after = output_shape(layer, shape)
        y = LOGITS if isinstance(layer, Weighted) and layer.output_bits is None else source.take(math.prod(after))
        if isinstance(layer, QuantizedMaxPool2d):
            moves = source.moves(
                f"windows_{i}", WindowMoves(shape, after, layer.kernel_size, layer.stride, layer.padding)
            )
            source.use("int8_max_pool2d")
            source.call("max_pool2d", x, moves, y)
        elif isinstance(layer, QuantizedLinear):
            linear(source, str(i), layer, x, y)
        else:
            conv2d(source, str(i), layer, (shape, after), x, y)
        source.release(x)
        x, shape = y, after
    return source


def output_shape(layer: QuantizedLinear | QuantizedConv2d | QuantizedMaxPool2d, shape: Shape) -> Shape:
    """Return the shape of one output from that of one input."""
    match layer:
        case QuantizedLinear():
            return (len(layer.weight),)
        case QuantizedConv2d():
            kernel = (layer.weight.shape[2], layer.weight.shape[3])
            size = output_size(shape, kernel, layer.stride, layer.padding, layer.dilation, "conv2d")
            return (len(layer.weight), *size)
        case QuantizedMaxPool2d():
            return (shape[0], *output_size(shape, layer.kernel_size, layer.stride, layer.padding, ONE, "max_pool2d"))


def linear(source: Source, i: str, layer: QuantizedLinear, x: str, y: str) -> None:
    """Add a dense layer from x to y."""
    outputs, inputs = layer.weight.shape
    source.use("int8_linear_sum")
    weights = source.array(f"weight_{i}", layer.weight), source.array(f"bias_{i}", layer.bias)
    if layer.shift is None:
        source.use("int8_linear_last")
        source.call("linear_last", x, inputs, outputs, *weights, y)
    else:
        source.use("int8_requantized", "int8_linear")
        source.call("linear", x, inputs, outputs, *weights, source.array(f"shift_{i}", layer.shift.astype("u1")), y)


def conv2d(source: Source, i: str, layer: QuantizedConv2d, shapes: tuple[Shape, Shape], x: str, y: str) -> None:
    """Add a convolution from x to y, of shapes before and after."""
    kernel = (layer.weight.shape[2], layer.weight.shape[3])
    windows = WindowMoves(*shapes, kernel, layer.stride, layer.padding, layer.dilation, layer.groups)
    moves = source.moves(f"windows_{i}", windows)
    source.use("int8_conv2d_sum")
    weights = source.array(f"weight_{i}", layer.weight), source.array(f"bias_{i}", layer.bias)
    border = source.array(f"border_{i}", layer.border)
    if layer.shift is None:
        source.use("int8_conv2d_last")
        source.call("conv2d_last", x, moves, *weights, border, y)
    else:
        source.use("int8_requantized", "int8_conv2d")
        shift = source.array(f"shift_{i}", layer.shift.astype("u1"))
        source.call("conv2d", x, moves, *weights, shift, border, y)
