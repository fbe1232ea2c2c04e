"""A model from its description, so that a weights file needs no pickle and no code to be read back."""

from collections.abc import Mapping
from inspect import signature

import numpy as np

from minikd.errors import CheckpointError, MinikdError
from minikd.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from minikd.nn.container import Flatten, Residual, Sequential
from minikd.nn.conv import Conv2d
from minikd.nn.dropout import Dropout
from minikd.nn.layer import Layer
from minikd.nn.linear import Linear
from minikd.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from minikd.nn.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d

CHAINS: dict[str, type[Sequential]] = {kind.__name__: kind for kind in (Sequential, Residual)}
LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        *(Linear, Conv2d, MaxPool2d, AvgPool2d, GlobalAvgPool2d, Flatten, Dropout),
        *(ReLU, LeakyReLU, Sigmoid, Tanh, GELU, BatchNorm1d, BatchNorm2d, LayerNorm),
    )
}


def build(description: Mapping[str, object]) -> Layer:
    """Return the layer that `{"layer": name, **config}` describes, with weights yet to be loaded.

    Raises CheckpointError for an unknown layer or arguments that it does not take.
    """
    if not isinstance(description, Mapping):
        raise CheckpointError(f"{description!r} describes no layer; it must be a table with the layer's name")
    arguments = dict(description)
    name = arguments.pop("layer", None)
    if not isinstance(name, str) or name not in (*LAYERS, *CHAINS):
        raise CheckpointError(f"unknown layer {name!r}; minikd has {', '.join(sorted([*LAYERS, *CHAINS]))}")
    if name in CHAINS:
        inner = arguments.pop("layers", None)
        if not isinstance(inner, list):
            raise CheckpointError(f"{name} is described by {dict(description)}, but needs a list of layers")
        return CHAINS[name](*(build(one) for one in inner))
    kind = LAYERS[name]
    if "rng" in signature(kind).parameters:
        arguments["rng"] = np.random.default_rng(0)  # any: the weights are loaded over these
    try:
        return kind(**arguments)
    except (TypeError, MinikdError) as error:
        raise CheckpointError(f"{name} cannot be made from {dict(description)}: {error}") from error


def build_sequential(description: Mapping[str, object]) -> Sequential:
    """Return the chain that `Sequential.config()` describes."""
    model = build({"layer": "Sequential", **description})
    assert isinstance(model, Sequential)
    return model
