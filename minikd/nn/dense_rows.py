"""Consecutive dense layers that are computed in one call, if a kernel can do this.

For one image, the interpreter takes more time than the products of a small network. A chain uses these rows if only its
output is needed. Training needs the outputs between the layers, so it uses `blocks`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minikd.backends import kernels_of, module_of
from minikd.nn.activations import ReLU
from minikd.nn.flatten import Flatten
from minikd.nn.layer import Layer
from minikd.nn.linear import Linear
from minikd.typing import Floats, Ints


class DenseRow(NamedTuple):
    """L dense layers with ReLU between them, and the Flatten before them if there is one.

    sizes (L + 1,): the numbers of features before, between and after the layers. features: the first of these. vector:
    the parameters, one layer after the other. places: each layer, and its part of the vector. flat: whether the row
    begins with a Flatten. relu: whether it ends with a ReLU. stop: the number of the layer after the row.
    """

    sizes: Ints
    features: int
    vector: Floats
    places: Sequence[tuple[Layer, Floats]]
    flat: bool
    relu: bool
    stop: int

    def answer(self, x: Floats) -> Floats | None:
        """Return the output (N, O), or None if no kernel supports it.

        If the input is wrong, the layers raise the error.
        """
        kernels = kernels_of(x)
        if not kernels or not hasattr(kernels, "dense_row") or x.dtype != self.vector.dtype:
            return None
        shaped = x.ndim == 2 or (self.flat and x.ndim)
        if not shaped or x.size != len(x) * self.features:
            return None
        for layer, part in self.places:
            if not layer.bound_to(part):
                return None
        y: Floats = kernels.dense_row(x.reshape(len(x), self.features), self.vector, self.sizes, self.relu)
        return y


def dense_rows(layers: Sequence[Layer], parts: Sequence[Floats], vector: Floats) -> dict[int, DenseRow]:
    """Return a chain's rows of dense layers by the number of the first layer.

    parts: each layer's part of the chain's vector.
    """
    rows: dict[int, DenseRow] = {}
    i = 0
    while i < len(layers) and module_of(vector) is np and vector.flags.c_contiguous:
        row = row_at(layers, parts, vector, i)
        if row:
            rows[i] = row
        i = row.stop if row else i + 1
    return rows


def row_at(layers: Sequence[Layer], parts: Sequence[Floats], vector: Floats, i: int) -> DenseRow | None:
    """Return the row that begins with layer i, or None if layer i is not a dense layer."""
    flat = type(layers[i]) is Flatten
    dense: list[int] = []
    stop, relu = i + flat, True
    while relu and stop < len(layers) and continues(layers, dense, stop):
        dense.append(stop)
        relu = stop + 1 < len(layers) and type(layers[stop + 1]) is ReLU
        stop += 1 + relu
    if not dense:
        return None
    weights = [layers[j].params["weight"] for j in dense]
    sizes = np.array([weights[0].shape[1], *map(len, weights)])
    start, end = (sum(part.size for part in parts[:j]) for j in (i, stop))
    places = [(layers[j], parts[j]) for j in dense]
    return DenseRow(sizes, int(sizes[0]), vector[start:end], places, flat, relu, stop)


def continues(layers: Sequence[Layer], dense: Sequence[int], i: int) -> bool:
    """Return whether layer i is a dense layer with a bias, and its input fits the output of the row."""
    layer = layers[i]
    if type(layer) is not Linear or "bias" not in layer.params:
        return False
    return not dense or len(layers[dense[-1]].params["weight"]) == layer.params["weight"].shape[1]
