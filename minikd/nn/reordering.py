"""A model's outputs in another order: the classes of a data set that counts them otherwise.

Output j of the last dense layer is row j of its weight and element j of its bias, so other outputs are other rows. A
convolution's output channels are rows likewise. Where neither stands at the end, a dense layer is put there whose
weight is a permutation matrix: each output is then one input times 1, which rounds nothing.
"""

from collections.abc import Sequence

import numpy as np

from minikd.backends import module_of
from minikd.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from minikd.nn.container import Sequential
from minikd.nn.conv import Conv2d
from minikd.nn.dropout import Dropout
from minikd.nn.flatten import Flatten
from minikd.nn.layer import Layer
from minikd.nn.linear import Linear
from minikd.nn.pooling import GlobalAvgPool2d

EACH_ALONE = (ReLU, LeakyReLU, Sigmoid, Tanh, GELU, Dropout, GlobalAvgPool2d)
"""Layers that treat each output alike, whatever its place."""


def reordered(model: Sequential, order: Sequence[int]) -> Sequential:
    """Return a copy whose output j is the model's output `order[j]`, of a permutation of the K outputs, with its name.

    The model itself, and no copy, where the order is that of the numbers.
    """
    if list(order) == list(range(len(order))):
        return model
    twin = model.copy()
    if last := last_rows(twin):
        for value in last.params.values():
            value[...] = value[module_of(value).asarray(order)]
    else:
        parts = model.layers if type(model) is Sequential else (model,)  # a residual block adds its input at the end
        twin = Sequential(*(part.copy() for part in parts), permutation(model, order))
    twin.class_names = tuple(model.class_names[k] for k in order) if model.class_names else ()
    return twin


def last_rows(model: Sequential) -> Layer | None:
    """Return the layer whose parameters have a row for each of the model's outputs; None where there is none."""
    layers = model.layers if type(model) is Sequential else ()
    for i, layer in reversed(list(enumerate(layers))):
        if type(layer) is Linear or (type(layer) is Conv2d and layer.groups == 1):
            return layer
        pooled = i > 0 and type(layers[i - 1]) is GlobalAvgPool2d  # else Flatten gives a class several outputs
        if type(layer) not in EACH_ALONE and not (type(layer) is Flatten and pooled):
            return None
    return None


def permutation(model: Sequential, order: Sequence[int]) -> Linear:
    """Return a dense layer that puts its inputs into this order, in the model's dtype and on its device."""
    dense = Linear(len(order), len(order), np.random.default_rng(0))
    dense.params["weight"][...] = np.eye(len(order))[list(order)]
    return dense.converted(lambda value: module_of(model.vector).asarray(value.astype(model.vector.dtype)))
