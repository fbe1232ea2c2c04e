"""A model as one flat list of minikd's layers in evaluation mode. All exports start from it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minikd.backends import to_host
from minikd.errors import ConfigError
from minikd.nn import Conv2d, Dropout, Embedding, Layer, Linear, Residual, Sequential
from minikd.nn.build import CHAINS, LAYERS
from minikd.nn.folding import with_bias
from minikd.typing import Array

OWN = {kind for kinds in (CHAINS, LAYERS) for kind in kinds.values()} - {Embedding}
"""The layers that the exports know: those for images."""


class NamedLayer(NamedTuple):
    """A layer and its place: "3", or "3.1" for the second layer of the chain that is layer 3."""

    name: str
    layer: Layer

    def __str__(self) -> str:
        return f"layer {self.name}, {self.layer.in_one_line()}"


def float32(value: Array) -> Array:
    """Return an array on the host, in float32."""
    return to_host(value).astype(np.float32)


def flat(model: Sequential, prefix: str = "") -> list[NamedLayer]:
    """Return the model's layers in order, also those inside chains, without dropout. A missing bias is zeros.

    A residual block stays one layer; the function returns its layers if it is called with the block and a `prefix` for
    their names. A user's layer may have a method `export()`, which returns minikd layers that compute the same in
    evaluation mode. They replace it. Raises ConfigError for a user's layer without this method.
    """
    whole = NamedLayer("model", model)
    if type(model) not in CHAINS.values():
        return flat(Sequential(*replacement(whole)), prefix)
    if type(model) is Residual and not prefix:
        return [whole]
    found: list[NamedLayer] = []
    for i, layer in enumerate(model.layers):
        named = NamedLayer(f"{prefix}{i}", layer)
        if type(layer) is Sequential:
            found += flat(layer, f"{named.name}.")
        elif type(layer) not in OWN:
            found += flat(Sequential(*replacement(named)), f"{named.name}.")
        elif isinstance(layer, Linear | Conv2d):
            found.append(NamedLayer(named.name, with_bias(layer)))
        elif not isinstance(layer, Dropout):
            found.append(named)
    return found


def replacement(named: NamedLayer) -> Sequence[Layer]:
    """Return copies of the minikd layers that replace a user's layer. Raises ConfigError."""
    export = getattr(named.layer, "export", None)
    if isinstance(named.layer, Embedding):
        raise ConfigError(f"{named} takes whole numbers, but only a model that takes images can be exported")
    if export is None:
        raise ConfigError(
            f"{named} is not one of minikd's layers, so minikd cannot export it; give "
            f"{type(named.layer).__name__} a method export() that returns layers of minikd that compute the same"
        )
    layers = export()
    if not isinstance(layers, Sequence) or not all(isinstance(layer, Layer) for layer in layers):
        raise ConfigError(f"{named}: export() returned {layers!r}, but must return a list of layers such as [ReLU()]")
    if any(type(layer) is type(named.layer) for layer in layers):
        raise ConfigError(f"{named}: export() returned a layer of its own kind; return layers of minikd")
    return [layer.copy() for layer in layers]
