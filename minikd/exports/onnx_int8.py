"""A network in whole numbers as ONNX: dequantise, multiply, ReLU, quantise. Every runtime supports these.

A layer's bytes are dequantised to floats: whole numbers times a power of two. Their product with the dequantised
weights is exact in float32 (`integer.py`: below 2^24), and QuantizeLinear rounds half to even. A runtime may compute
this graph in floats, or fuse it into integer operators. Both give the bytes of `integer.py`.

Weights of int8 are written as uint8 with zero point 128, which are the same numbers. The reason: a processor without
VNNI adds two products uint8 x int8 in 16 bits, and the sum can saturate (onnxruntime issue 5849). It computes uint8 x
uint8 in another way.

Weights of int4 and ternary are written as ONNX's INT4. Runtimes support no smaller type, so a ternary network is as
large as an int4 network. In C it is smaller, with five weights in a byte.

A convolution on pixels pads with the byte `border`. ONNX pads with the byte that stands for 0, so the border is the
zero point z of the input. The bias corrects for the subtraction of z: Σ q a + B = Σ q (a - z) + (B + z Σ q).
"""

import numpy as np

from minikd.exports.graph import Graph, pads
from minikd.exports.integer import (
    Int32,
    QuantizedConv2d,
    QuantizedFlatten,
    QuantizedLayer,
    QuantizedLinear,
    QuantizedMaxPool2d,
    QuantizedModel,
    UInt8,
)
from minikd.typing import Array, Floats
from minikd.weights import Card

ZERO = 128
"""The byte that stands for a weight of 0."""


def integer_onnx(model: QuantizedModel, card: Card, notes: dict[str, str]) -> bytes:
    """Return the network as an ONNX file that takes pixels as uint8, 0-255. `notes` are added to the metadata.

    Raises BackendError if the extra is not installed.
    """
    graph, x = Graph(), "pixels"
    for i, layer in enumerate(model.layers):
        x = add(graph, str(i), layer, x, model.kind != "int8")
    return graph.finished(card, np.uint8, {"logit_scale": repr(2.0**-model.logit_bits), **notes})


def add(graph: Graph, name: str, layer: QuantizedLayer, x: str, small: bool) -> str:
    """Add a layer whose input is bytes. Return the name of its bytes or of the logits. small: weights of four bits."""
    match layer:
        case QuantizedFlatten():
            return graph.node("Flatten", f"{name}.flat", x, axis=1)
        case QuantizedMaxPool2d():
            windows = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": pads(layer.padding)}
            return graph.node("MaxPool", f"{name}.pooled", x, **windows)
        case QuantizedLinear() | QuantizedConv2d():
            return weighted(graph, name, layer, x, small)


def weighted(graph: Graph, name: str, layer: QuantizedLinear | QuantizedConv2d, x: str, small: bool) -> str:
    """Add a dense layer or a convolution, with dequantised bytes before it and quantised bytes after it."""
    zero, rows = input_zero(layer), len(layer.weight)
    sums = "logits" if layer.output_bits is None else f"{name}.sums"
    bias = graph.constant(f"{name}.bias", shifted_bias(layer, zero))
    inputs = (
        dequantized(graph, f"{name}.input", x, layer.input_bits, zero, axis=1),
        weights(graph, name, layer, small),
        dequantized(graph, f"{name}.bias.value", bias, layer.input_bits + layer.weight_bits, np.zeros(rows, np.int32)),
    )
    if isinstance(layer, QuantizedConv2d):
        moves = {"strides": layer.stride, "pads": pads(layer.padding), "dilations": layer.dilation}
        y = graph.node("Conv", sums, *inputs, kernel_shape=layer.weight.shape[2:], group=layer.groups, **moves)
    else:
        y = graph.node("Gemm", sums, *inputs, transB=1)
    if layer.output_bits is None:
        return y
    y = graph.node("Relu", f"{name}.relu", y)
    scale = graph.constant(f"{name}.output.scale", power(layer.output_bits))
    return graph.node("QuantizeLinear", f"{name}.output", y, scale, graph.constant("zero", np.array(0, np.uint8)))


def weights(graph: Graph, name: str, layer: QuantizedLinear | QuantizedConv2d, small: bool) -> str:
    """Add a layer's weights, and return the name of their dequantised values."""
    if not small:
        q = graph.constant(f"{name}.weight", (layer.weight.astype(np.int16) + ZERO).astype(np.uint8))
        zero = np.full(len(layer.weight), ZERO, np.uint8)
        return dequantized(graph, f"{name}.weight.value", q, layer.weight_bits, zero)
    scale = graph.constant(f"{name}.weight.value.scale", power(layer.weight_bits))
    q = graph.four_bits(f"{name}.weight", layer.weight)
    return graph.node("DequantizeLinear", f"{name}.weight.value", q, scale, axis=0)


def dequantized(graph: Graph, name: str, x: str, bits: int | Int32, zero: Array, axis: int = 0) -> str:
    """Add (x - zero)·2^-bits. If zero or bits is an array, it has a value for each index of the axis."""
    scale = graph.constant(f"{name}.scale", np.broadcast_to(power(bits), zero.shape).copy())
    return graph.node("DequantizeLinear", name, x, scale, graph.constant(f"{name}.zero", zero), axis=axis)


def power(bits: int | Int32) -> Floats:
    """Return 2^-bits in float32."""
    scale: Floats = np.ldexp(np.float32(1), -np.asarray(bits))
    return scale


def input_zero(layer: QuantizedLinear | QuantizedConv2d) -> UInt8:
    """Return the bytes that stand for 0 in a layer's input, which are its border.

    If all channels have the same: one.
    """
    if isinstance(layer, QuantizedLinear) or layer.padding == (0, 0):
        return np.array(0, np.uint8)
    return layer.border[0] if (layer.border == layer.border[0]).all() else layer.border


def shifted_bias(layer: QuantizedLinear | QuantizedConv2d, zero: UInt8) -> Int32:
    """Return B + z Σ q, for a product that subtracts z from its input."""
    if isinstance(layer, QuantizedLinear):
        return layer.bias
    O, C = layer.weight.shape[:2]
    seen = np.repeat(np.broadcast_to(zero, len(layer.border)).reshape(layer.groups, C), O // layer.groups, axis=0)
    by_channel = layer.weight.sum((2, 3), dtype=np.int32)  # (O, C/groups)
    shifted: Int32 = layer.bias + (by_channel * seen.astype(np.int32)).sum(1, dtype=np.int32)
    return shifted
