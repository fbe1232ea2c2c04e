"""A network as ONNX in float32. The graph includes the normalisation, so its input is raw pixels.

The subtraction and the division of the normalisation stay separate nodes. If they were folded into a convolution with
padding, the border would be wrong: the network pads the normalised image with 0, which is the mean pixel, not black.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minikd.exports.chain import NamedLayer, flat, float32
from minikd.exports.graph import Graph, pads
from minikd.nn import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
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
from minikd.weights import Card


def float_onnx(model: Sequential, card: Card, pixels: type[np.generic], notes: dict[str, str]) -> bytes:
    """Return the network as an ONNX file that takes `pixels` as np.uint8 in 0-255, or as np.float32 in 0-1.

    `notes` are added to the metadata, which has the class names. Raises ConfigError for an unknown layer, and
    BackendError if the extra is not installed.
    """
    graph = Graph()
    x = chain(graph, normalised(graph, card, pixels), flat(model))
    graph.node("Identity", "logits", x)
    return graph.finished(card, pixels, notes)


def normalised(graph: Graph, card: Card, pixels: type[np.generic]) -> str:
    """Add (pixels/255 - mean)/std for each channel. Pixels in 0-1 are not divided by 255."""
    x = "pixels"
    if pixels is np.uint8:
        x = graph.node("Cast", "pixels.float", x, to=graph.onnx.TensorProto.FLOAT)
        x = graph.node("Div", "pixels.0-1", x, graph.constant("white", np.array(255, np.float32)))
    mean, std = (np.array(value, np.float32).reshape(1, -1, 1, 1) for value in (card.mean, card.std))
    x = graph.node("Sub", "pixels.centred", x, graph.constant("mean", mean))
    return graph.node("Div", "pixels.normalised", x, graph.constant("std", std))


def chain(graph: Graph, x: str, layers: list[NamedLayer]) -> str:
    """Add layers one after the other."""
    for named in layers:
        layer, kind = named.layer, type(named.layer)
        name = f"{named.name}.{kind.__name__}"
        if isinstance(layer, Residual):
            x = graph.node("Add", name, x, chain(graph, x, flat(layer, f"{named.name}.")))
        elif kind in PLAIN:
            operator, attributes = PLAIN[kind]
            x = graph.node(operator, name, x, *parameters(graph, named), **attributes(layer))
        else:
            x = gelu(graph, name, x)
    return x


def parameters(graph: Graph, named: NamedLayer) -> list[str]:
    """Add a layer's arrays in the order of ONNX's inputs, which is also the order in the weights file."""
    arrays = {**named.layer.params, **named.layer.state}
    arrays.pop("num_batches_tracked", None)  # only training reads this count
    return [graph.constant(f"{named.name}.{name}", float32(value)) for name, value in arrays.items()]


def gelu(graph: Graph, name: str, x: str) -> str:
    """Add x·(1 + erf(x/√2))/2, because GELU is an operator only since opset 20."""
    numbers = {"half": 0.5, "one": 1.0, "root_half": math.sqrt(0.5)}
    half, one, root = (graph.constant(f"gelu.{key}", np.array(value, np.float32)) for key, value in numbers.items())
    error = graph.node("Erf", f"{name}.erf", graph.node("Mul", f"{name}.scaled", x, root))
    doubled = graph.node("Mul", f"{name}.doubled", x, graph.node("Add", f"{name}.plus", error, one))
    return graph.node("Mul", name, doubled, half)


def no_attributes(layer: Layer) -> dict[str, Any]:
    return {}


def conv_attributes(layer: Conv2d) -> dict[str, Any]:
    return {
        "kernel_shape": layer.kernel_size,
        "strides": layer.stride,
        "pads": pads(layer.padding),
        "dilations": layer.dilation,
        "group": layer.groups,
    }


def pool_attributes(layer: MaxPool2d | AvgPool2d) -> dict[str, Any]:
    return {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": pads(layer.padding)}


Attributes = Callable[[Any], dict[str, Any]]

PLAIN: dict[type[Layer], tuple[str, Attributes]] = {
    Linear: ("Gemm", lambda layer: {"transB": 1}),
    Conv2d: ("Conv", conv_attributes),
    MaxPool2d: ("MaxPool", pool_attributes),
    AvgPool2d: ("AveragePool", lambda layer: {**pool_attributes(layer), "count_include_pad": 1}),
    GlobalAvgPool2d: ("GlobalAveragePool", no_attributes),
    Flatten: ("Flatten", lambda layer: {"axis": 1}),
    ReLU: ("Relu", no_attributes),
    LeakyReLU: ("LeakyRelu", lambda layer: {"alpha": layer.negative_slope}),
    Sigmoid: ("Sigmoid", no_attributes),
    Tanh: ("Tanh", no_attributes),
    BatchNorm1d: ("BatchNormalization", lambda layer: {"epsilon": layer.eps}),
    BatchNorm2d: ("BatchNormalization", lambda layer: {"epsilon": layer.eps}),
    LayerNorm: ("LayerNormalization", lambda layer: {"axis": -len(layer.normalized_shape), "epsilon": layer.eps}),
}
"""The operator and its attributes for each layer that is one operator.

GELU needs several, and a residual block a graph.
"""
