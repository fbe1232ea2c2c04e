"""Puts a model's outputs in another order, for a data set whose classes are in another order.

Output j of the last dense layer belongs to row j of its weight and element j of its bias, so another order of outputs
is another order of rows. The output channels of a convolution are rows too. If the last layer is neither, a dense layer
is added whose weight is a permutation matrix. Each of its outputs is one input times 1, so nothing is rounded.
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
"""Layers that do the same to each output, whatever its position."""


def reordered(model: Sequential, order: Sequence[int]) -> Sequential:
    """Return a copy whose output j is the model's output `order[j]`, with its name. `order` is a permutation of 0..K-1.

    If the order does not change, return the model itself.
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
    """Return the layer whose parameters have a row for each of the model's outputs, or None if there is none."""
    layers = model.layers if type(model) is Sequential else ()
    for i, layer in reversed(list(enumerate(layers))):
        if type(layer) is Linear or (type(layer) is Conv2d and layer.groups == 1):
            return layer
        pooled = i > 0 and type(layers[i - 1]) is GlobalAvgPool2d  # else Flatten gives several per channel
        if type(layer) not in EACH_ALONE and not (type(layer) is Flatten and pooled):
            return None
    return None


def permutation(model: Sequential, order: Sequence[int]) -> Linear:
    """Return a dense layer that puts its inputs in this order, in the model's dtype and on its device."""
    dense = Linear(len(order), len(order), np.random.default_rng(0))
    dense.params["weight"][...] = np.eye(len(order))[list(order)]
    return dense.converted(lambda value: module_of(model.vector).asarray(value.astype(model.vector.dtype)))
