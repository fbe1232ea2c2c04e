"""A network as JSON: each layer's class, constructor's arguments, and arrays as base64, low byte first."""

import base64
from collections.abc import Sequence

import numpy as np

from minikd.backends import to_host
from minikd.exports.chain import NamedLayer, flat
from minikd.exports.integer import QuantizedConv2d, QuantizedLayer, QuantizedMaxPool2d, QuantizedModel, Weighted
from minikd.nn import Residual, Sequential
from minikd.typing import Array

LayerDescription = dict[str, object]
"""A layer in JSON: its class under "layer", its arguments, and its arrays under "arrays"."""

TYPES = {"float32": "<f4", "int32": "<i4", "int8": "i1", "uint8": "u1"}
"""The types of the arrays, and the order of their bytes in the file."""


def described(model: Sequential | QuantizedModel) -> list[LayerDescription]:
    """Return the model's layers in order, in evaluation mode. Raises ConfigError for a layer without a description."""
    if isinstance(model, QuantizedModel):
        return [integer_layer(layer) for layer in model.layers]
    return [float_layer(named) for named in flat(model)]


def float_layer(named: NamedLayer) -> LayerDescription:
    """Return a layer with its arrays in float32. A residual block has its layers instead."""
    layer = named.layer
    if isinstance(layer, Residual):
        inner: Sequence[NamedLayer] = flat(layer, f"{named.name}.")
        return {"layer": "Residual", "layers": [float_layer(one) for one in inner]}
    values = {**layer.params, **layer.state}
    values.pop("num_batches_tracked", None)  # only training reads this count
    arrays = {name: packed(to_host(value), "float32") for name, value in values.items()}
    return {"layer": type(layer).__name__, **layer.config(), "arrays": arrays}


def integer_layer(layer: QuantizedLayer) -> LayerDescription:
    """Return a layer of whole numbers. `shift` is None if its sums are the logits."""
    found: LayerDescription = {"layer": type(layer).__name__}
    if isinstance(layer, Weighted):
        shift = None if layer.shift is None else layer.shift.tolist()
        arrays = {"weight": packed(layer.weight, "int8"), "bias": packed(layer.bias, "int32")}
        found |= {"shift": shift, "arrays": arrays}
    if isinstance(layer, QuantizedConv2d):
        arrays["border"] = packed(layer.border, "uint8")
        found |= {"out_channels": len(layer.weight), "kernel_size": layer.weight.shape[2:]}
        found |= {"dilation": layer.dilation, "groups": layer.groups}
    if isinstance(layer, QuantizedConv2d | QuantizedMaxPool2d):
        found |= {"stride": layer.stride, "padding": layer.padding}
    if isinstance(layer, QuantizedMaxPool2d):
        found["kernel_size"] = layer.kernel_size
    return found


def packed(values: Array, kind: str) -> dict[str, str]:
    """Return an array in C order as base64, with its type."""
    return {"type": kind, "data": packed_bytes(values, kind)}


def packed_bytes(values: Array, kind: str) -> str:
    """Return an array's bytes in C order as base64."""
    return base64.b64encode(np.asarray(values).astype(TYPES[kind]).tobytes()).decode()
