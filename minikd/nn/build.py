"""A model from its description, so that a weights file needs no pickle and no code to be read back.

A description may be damaged, or made to do harm. Before a layer is made, its arguments have the constructor's types and
its weight the shape that the file's own has: no more is allocated than the file holds.
"""

from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from typing import Any, get_type_hints

import numpy as np

from minikd.errors import CheckpointError, ConfigError, MinikdError
from minikd.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from minikd.nn.container import Flatten, Residual, Sequential
from minikd.nn.conv import Conv2d
from minikd.nn.dropout import Dropout
from minikd.nn.geometry import pair
from minikd.nn.layer import Layer
from minikd.nn.linear import Linear
from minikd.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from minikd.nn.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from minikd.nn.renamed import new_names_of
from minikd.storage.reading import excerpt
from minikd.storage.schema import fitted
from minikd.typing import Shape

CHAINS: dict[str, type[Sequential]] = {kind.__name__: kind for kind in (Sequential, Residual)}
LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        *(Linear, Conv2d, MaxPool2d, AvgPool2d, GlobalAvgPool2d, Flatten, Dropout),
        *(ReLU, LeakyReLU, Sigmoid, Tanh, GELU, BatchNorm1d, BatchNorm2d, LayerNorm),
    )
}
WEIGHTS: dict[type[Layer], Callable[[Mapping[str, Any]], Shape]] = {
    Linear: lambda of: (of["out_features"], of["in_features"]),
    Conv2d: lambda of: (
        *(of["out_channels"], of["in_channels"] // max(1, of.get("groups", 1))),
        *pair(of["kernel_size"], "kernel_size", 1),
    ),
    BatchNorm1d: lambda of: (of["num_features"],),
    BatchNorm2d: lambda of: (of["num_features"],),
    LayerNorm: lambda of: (
        (of["normalized_shape"],) if isinstance(of["normalized_shape"], int) else of["normalized_shape"]
    ),
}
"""The shape of each layer's `weight`, from its arguments; the other arrays are no larger."""

DEEPEST = 16
"""Chains inside one another."""


def build_sequential(description: Mapping[str, object], shapes: Mapping[str, Shape]) -> Sequential:
    """Return the chain that `Sequential.config()` describes, with weights yet to be loaded, of these shapes by name."""
    model = build({"layer": "Sequential", **description}, shapes)
    assert isinstance(model, Sequential)
    return model


def build(description: object, shapes: Mapping[str, Shape], prefix: str = "", deep: int = 0) -> Layer:
    """Return the layer that `{"layer": name, **config}` describes, with weights yet to be loaded.

    `shapes` are those of the weights by name, this layer's under names that begin with `prefix`. Raises CheckpointError
    for an unknown layer, arguments that it does not take, and weights of other shapes.
    """
    if not isinstance(description, Mapping):
        raise CheckpointError(
            f"{excerpt(repr(description))} describes no layer; it must be a table with the layer's name"
        )
    arguments = dict(description)
    name = arguments.pop("layer", None)
    if not isinstance(name, str) or name not in (*LAYERS, *CHAINS):
        known = ", ".join(sorted([*LAYERS, *CHAINS]))
        raise CheckpointError(f"unknown layer {excerpt(repr(name))}; minikd has {known}")
    try:
        if name in CHAINS:
            return CHAINS[name](*inner_layers(name, arguments, shapes, prefix, deep))
        kind, hints = LAYERS[name], hints_of(name)
        new_names = new_names_of(kind.__init__)
        arguments = {new_names.get(key, key): value for key, value in arguments.items()}
        checked = {key: argument(hints, key, value) for key, value in arguments.items()}
        if kind in WEIGHTS:
            check_weight(f"{prefix}weight", WEIGHTS[kind](checked), shapes)
        rng = {"rng": np.random.default_rng(0)} if "rng" in hints else {}  # any: the weights are loaded over these
        return kind(**checked, **rng)
    except CheckpointError:
        raise
    except (MinikdError, TypeError, KeyError) as error:
        reason = missing(LAYERS.get(name), arguments) or error
        raise CheckpointError(f"{name} cannot be made from {excerpt(dict(description))}: {reason}") from error


def inner_layers(
    name: str, arguments: Mapping[str, object], shapes: Mapping[str, Shape], prefix: str, deep: int
) -> list[Layer]:
    """Return the layers of a chain."""
    inner = arguments.get("layers")
    if not isinstance(inner, list) or len(arguments) > 1:
        raise CheckpointError(f"{name} is described by {excerpt(arguments)}, but needs a list of layers alone")
    if deep > DEEPEST:
        raise CheckpointError(f"its chains are nested more than {DEEPEST} deep")
    return [build(one, shapes, f"{prefix}{i}.", deep + 1) for i, one in enumerate(inner)]


@cache
def hints_of(name: str) -> Mapping[str, Any]:
    """Return the types of a layer's constructor's arguments, by name."""
    found = get_type_hints(LAYERS[name].__init__)
    return {argument: found[argument] for argument in signature(LAYERS[name]).parameters}


def argument(hints: Mapping[str, Any], name: str, value: object) -> object:
    """Return an argument in the type that the constructor wants."""
    if name not in hints or name == "rng":
        raise ConfigError(f"it takes no {excerpt(name)}")
    try:
        return fitted(value, hints[name])
    except ValueError as error:
        raise ConfigError(f"{name} is {excerpt(repr(value))}: {excerpt(error)}") from error


def missing(kind: type[Layer] | None, arguments: Mapping[str, object]) -> str:
    """Say which arguments a constructor lacks; "" for none."""
    wanted = signature(kind).parameters.values() if kind else ()
    lacking = [one.name for one in wanted if one.default is one.empty and one.name not in {*arguments, "rng"}]
    return f"it lacks {', '.join(lacking)}" if lacking else ""


def check_weight(name: str, wanted: Shape, shapes: Mapping[str, Shape]) -> None:
    """Refuse a layer whose weight has not the shape that the file's has."""
    if name not in shapes:
        raise CheckpointError(f"the weights are of another model: there is no {name}")
    if shapes[name] != wanted:
        raise CheckpointError(f"the weights are of another model: {name} is {shapes[name]}, not {wanted}")
