"""The elementwise functions between the layers: ReLU, LeakyReLU, Sigmoid, Tanh, GELU.

Each works on single elements, so its Jacobian is diagonal, and the chain rule is one elementwise product: dx = dy ·
f'(x). The cache is the array from which f' is cheapest to compute: the output for ReLU, sigmoid and tanh, the input for
GELU.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends import kernels_of, module_of, special_of
from minikd.checks import check_float, number
from minikd.errors import ConfigError
from minikd.nn.layer import Grads, Layer, check_upstream, expect_cache
from minikd.nn.renamed import renamed
from minikd.typing import Floats, Mask


class OutputCache(NamedTuple):
    """The output y: enough for ReLU, sigmoid and tanh."""

    y: Floats


class LeakyReLUCache(NamedTuple):
    """Whether each input is positive (bool), the slope for the others, and the output's dtype."""

    positive: Mask
    slope: float
    dtype: np.dtype[np.floating]


class GELUCache(NamedTuple):
    """The input x, and Φ(x), the normal distribution function there."""

    x: Floats
    phi: Floats


# ReLU: y = max(x, 0). dy/dx is 1 where x > 0 and 0 where x < 0. At 0, every number from 0 to 1 is a subgradient. As
# usual, we take 0, so that y > 0 means the same as x > 0.


def relu(x: Floats) -> tuple[Floats, OutputCache]:
    """Return max(x, 0), any shape (Nair & Hinton 2010)."""
    check_float(x, "relu: x")
    y: Floats = module_of(x).maximum(x, 0)
    return y, OutputCache(y)


def relu_backward(dy: Floats, cache: OutputCache) -> Floats:
    """Return dx: dy where the output is positive, 0 elsewhere."""
    check_upstream(dy, cache.y.shape, cache.y.dtype, "relu")
    if kernels := kernels_of(dy):
        dx: Floats = kernels.relu_backward(dy, cache.y)
        return dx
    return dy * (cache.y > 0)


# LeakyReLU: y = x where x > 0, slope·x elsewhere. dy/dx is 1 or the slope.


def finite_slope(negative_slope: float, where: str) -> float:
    """Return the slope as a Python float, or refuse one that is not a finite number."""
    if not math.isfinite(number(negative_slope)):
        raise ConfigError(f"{where}'s negative_slope is {negative_slope!r}, but must be a finite number such as 0.01")
    return number(negative_slope)


@renamed(slope="negative_slope")
def leaky_relu(x: Floats, negative_slope: float = 0.01) -> tuple[Floats, LeakyReLUCache]:
    """Return x where it is positive, negative_slope·x elsewhere; any shape (Maas et al. 2013). Raises ConfigError."""
    check_float(x, "leaky_relu: x")
    slope, positive = finite_slope(negative_slope, "leaky_relu"), x > 0
    return module_of(x).where(positive, x, x * slope), LeakyReLUCache(positive, slope, x.dtype)


def leaky_relu_backward(dy: Floats, cache: LeakyReLUCache) -> Floats:
    """Return dx: dy where the input is positive, slope·dy elsewhere."""
    check_upstream(dy, cache.positive.shape, cache.dtype, "leaky_relu")
    dx: Floats = module_of(dy).where(cache.positive, dy, dy * cache.slope)
    return dx


# Sigmoid: y = 1/(1 + e^-x), and y' = e^-x/(1 + e^-x)² = y (1 - y).


def sigmoid(x: Floats) -> tuple[Floats, OutputCache]:
    """Return 1/(1 + e^-x), any shape. It is computed as (1 + tanh(x/2))/2, the same function, which never overflows."""
    check_float(x, "sigmoid: x")
    y: Floats = 0.5 * (1 + module_of(x).tanh(0.5 * x))
    return y, OutputCache(y)


def sigmoid_backward(dy: Floats, cache: OutputCache) -> Floats:
    """Return dx = dy · y (1 - y)."""
    check_upstream(dy, cache.y.shape, cache.y.dtype, "sigmoid")
    return dy * cache.y * (1 - cache.y)


# Tanh: y' = 1 - tanh² = 1 - y².


def tanh(x: Floats) -> tuple[Floats, OutputCache]:
    """Return tanh(x), any shape."""
    check_float(x, "tanh: x")
    y: Floats = module_of(x).tanh(x)
    return y, OutputCache(y)


def tanh_backward(dy: Floats, cache: OutputCache) -> Floats:
    """Return dx = dy (1 - y²)."""
    check_upstream(dy, cache.y.shape, cache.y.dtype, "tanh")
    return dy * (1 - cache.y * cache.y)


# GELU: y = x Φ(x), with Φ the standard normal distribution function and φ = Φ' its density e^(-x²/2)/√(2π).
# By the product rule y' = Φ(x) + x φ(x).


def gelu(x: Floats) -> tuple[Floats, GELUCache]:
    """Return x Φ(x), any shape: the exact form, not the tanh approximation (Hendrycks & Gimpel 2016)."""
    check_float(x, "gelu: x")
    phi: Floats = 0.5 * (1 + special_of(x).erf(x * math.sqrt(0.5)))
    return x * phi, GELUCache(x, phi)


def gelu_backward(dy: Floats, cache: GELUCache) -> Floats:
    """Return dx = dy (Φ(x) + x φ(x))."""
    x, phi = cache
    check_upstream(dy, x.shape, x.dtype, "gelu")
    density = module_of(x).exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    dx: Floats = dy * (phi + x * density)
    return dx


class ReLU(Layer):
    """max(x, 0)."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, OutputCache]:
        return relu(x)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return relu_backward(dy, expect_cache(cache, OutputCache, self)), {}


class LeakyReLU(Layer):
    """x where it is positive, negative_slope·x elsewhere."""

    @renamed(slope="negative_slope")
    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = finite_slope(negative_slope, "LeakyReLU")

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, LeakyReLUCache]:
        return leaky_relu(x, self.negative_slope)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return leaky_relu_backward(dy, expect_cache(cache, LeakyReLUCache, self)), {}

    def config(self) -> Mapping[str, object]:
        return {"negative_slope": self.negative_slope}


class Sigmoid(Layer):
    """1/(1 + e^-x)."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, OutputCache]:
        return sigmoid(x)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return sigmoid_backward(dy, expect_cache(cache, OutputCache, self)), {}


class Tanh(Layer):
    """tanh(x)."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, OutputCache]:
        return tanh(x)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return tanh_backward(dy, expect_cache(cache, OutputCache, self)), {}


class GELU(Layer):
    """x Φ(x), exact."""

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, GELUCache]:
        return gelu(x)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return gelu_backward(dy, expect_cache(cache, GELUCache, self)), {}
