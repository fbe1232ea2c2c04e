"""A residual block adds its input to what its layers return: y = x + f(x).

So dx = dy + J_fᵀ dy: a part of the gradient skips the layers unchanged (He et al. 2016).
"""

from collections.abc import Sequence

import numpy as np

from minikd.errors import ShapeError
from minikd.nn.container import ChainCache, Sequential
from minikd.nn.layer import Grads
from minikd.nn.taps import NO_TAPS, Taps
from minikd.typing import Floats, Shape


class Residual(Sequential):
    """x + f(x), where f is the chain of the given layers. f must keep the shape. Taps are those of f."""

    def forward_with_taps(
        self, x: Floats, names: Sequence[str], training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, dict[str, Floats], ChainCache]:
        y, taps, cache = super().forward_with_taps(x, names, training, rng)
        if y.shape != x.shape:
            raise ShapeError(f"Residual: the layers turn shape {x.shape} into {y.shape}, but must keep it")
        return x + y, taps, cache

    def __call__(self, x: Floats) -> Floats:
        return self.forward(x)[0]

    def backward(
        self, dy: Floats, cache: object, dtaps: Taps = NO_TAPS, into: Floats | None = None
    ) -> tuple[Floats, Grads]:
        dx, grads = super().backward(dy, cache, dtaps, into)
        return dy + dx, grads

    def output_shape(self, shape: Shape) -> Shape:
        if super().output_shape(shape) != shape:
            raise ShapeError(
                f"Residual: the layers turn shape {shape} into {super().output_shape(shape)}, must keep it"
            )
        return shape
