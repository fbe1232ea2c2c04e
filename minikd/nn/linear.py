"""The dense layer: y = x wᵀ + b.

Derivation of the backward pass, by indices (n: sample, o: output, c: input):

    y[n, o] = Σ_c x[n, c] w[o, c] + b[o]

    dx[n, c] = Σ_o dy[n, o] ∂y[n, o]/∂x[n, c] = Σ_o dy[n, o] w[o, c]      dx = dy w
    dw[o, c] = Σ_n dy[n, o] ∂y[n, o]/∂w[o, c] = Σ_n dy[n, o] x[n, c]      dw = dyᵀ x
    db[o]    = Σ_n dy[n, o]                                               db = dyᵀ 1

Each sum is over the index that the result does not have. This determines the transposes. (Do not choose them only to
make the shapes fit.)
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.checks import whole_number
from minikd.errors import ShapeError
from minikd.nn.initialization import initial_weight
from minikd.nn.layer import Grads, Layer, check_parameters, check_upstream, expect_cache, named_gradients
from minikd.nn.products import column_sums, product
from minikd.typing import Floats, Shape


class LinearCache(NamedTuple):
    """What the backward pass needs: the input (N, C) for dw, and the weight (O, C) for dx."""

    x: Floats
    w: Floats


def linear(x: Floats, w: Floats, b: Floats | None = None) -> tuple[Floats, LinearCache]:
    """Return y = x wᵀ + b of shape (N, O), and the cache.

    Shapes: x (N, C), w (O, C), b (O,) or None, all float32 or all float64. Raises ShapeError and DtypeError.
    """
    check_linear(x, w, b)
    y = product(x, w.T)  # (N, O) = (N, C) @ (C, O)
    if b is not None:
        y += b
    return y, LinearCache(x, w)


def check_linear(x: Floats, w: Floats, b: Floats | None) -> None:
    """Refuse arrays that do not fit a dense layer."""
    check_parameters(x, w, b, 2, "linear")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        hint = "; put a Flatten before it" if x.ndim > 2 else ""
        raise ShapeError(f"linear: x has shape {x.shape}, but w {w.shape} needs x of shape (N, {w.shape[1]}){hint}")


def linear_backward(dy: Floats, cache: LinearCache) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C), dw (O, C), db (O,) from dy (N, O)."""
    dw, db = linear_backward_parameters(dy, cache)
    dx = product(dy, cache.w)  # (N, C) = (N, O) @ (O, C)
    return dx, dw, db


def linear_backward_parameters(dy: Floats, cache: LinearCache) -> tuple[Floats, Floats]:
    """Return only dw and db. Without dx, a third of the layer's work is saved."""
    x, w = cache
    check_upstream(dy, (len(x), len(w)), x.dtype, "linear")
    dw = product(dy.T, x)  # (O, C) = (O, N) @ (N, C)
    return dw, column_sums(dy)


class Linear(Layer):
    """A dense layer with `weight` (out_features, in_features) and, unless `bias` is False, `bias` (out_features,).

    The bias starts at 0.
    """

    def __init__(
        self, in_features: int, out_features: int, rng: np.random.Generator, init: str = "he", bias: bool = True
    ) -> None:
        super().__init__()
        self.in_features = whole_number(in_features, "Linear's in_features", 1)
        self.out_features = whole_number(out_features, "Linear's out_features", 1)
        shape, fans = (self.out_features, self.in_features), (self.in_features, self.out_features)
        self.params["weight"] = initial_weight(init, rng, shape, *fans, "Linear's weight")
        if bias:
            self.params["bias"] = np.zeros(self.out_features, np.float32)

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, LinearCache]:
        return linear(x, self.params["weight"], self.params.get("bias"))

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        dx, dw, db = linear_backward(dy, expect_cache(cache, LinearCache, self))
        return dx, named_gradients(self, dw, db)

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        dw, db = linear_backward_parameters(dy, expect_cache(cache, LinearCache, self))
        return named_gradients(self, dw, db)

    def config(self) -> Mapping[str, object]:
        sizes = {"in_features": self.in_features, "out_features": self.out_features}
        return sizes if "bias" in self.params else {**sizes, "bias": False}

    def output_shape(self, shape: Shape) -> Shape:
        if shape != (self.in_features,):
            hint = "; put a Flatten before it" if len(shape) > 1 else ""
            raise ShapeError(f"{self!r} needs samples of shape ({self.in_features},), but gets {shape}{hint}")
        return (self.out_features,)

    def macs(self, shape: Shape) -> int:
        return self.in_features * self.out_features
