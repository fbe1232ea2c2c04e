"""Flatten: an image, or its maps, as one row of numbers for a dense layer."""

import math
from typing import NamedTuple

import numpy as np

from minikd.checks import check_float
from minikd.nn.geometry import channels_last
from minikd.nn.layer import Grads, Layer, check_upstream, expect_cache
from minikd.typing import Floats, Shape


class FlattenCache(NamedTuple):
    """The input's shape and dtype."""

    shape: Shape
    dtype: np.dtype[np.floating]


class Flatten(Layer):
    """(N, C, H, W) to (N, C·H·W), in C order, whatever the order in memory. The gradient gets the input's shape."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, FlattenCache]:
        check_float(x, "Flatten: x")
        return x.reshape(len(x), math.prod(x.shape[1:])), FlattenCache(x.shape, x.dtype)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        shape, dtype = expect_cache(cache, FlattenCache, self)
        check_upstream(dy, (shape[0], math.prod(shape[1:])), dtype, "Flatten")
        dx = dy.reshape(shape)
        return (channels_last(dx) if dx.ndim == 4 else dx), {}

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)
