"""Normalisation: shift and scale activations to mean 0 and variance 1, then apply a learned scale and shift.

    x̂ = (x - μ)·ρ,   ρ = 1/√(σ² + ε),   y = γ·x̂ + β

Batch norm takes μ and σ² for each channel over the batch (and the image), layer norm for each sample over its features.
Both have the same backward pass. Let m be the number of values in each mean, and g = γ·dy the gradient with respect to
x̂:

    dγ = Σ dy·x̂      dβ = Σ dy

    x reaches the loss on three paths: directly, through μ, through σ².
      ∂x̂_i/∂x_j = ρ (δ_ij - 1/m - x̂_i x̂_j/m)          since ∂μ/∂x_j = 1/m and ∂ρ/∂x_j = -ρ² x̂_j/m
      dx_j = Σ_i g_i ∂x̂_i/∂x_j = ρ (g_j - mean(g) - x̂_j mean(g·x̂))

So g loses its mean and its part along x̂. The reason: if all of x is shifted or scaled, the output does not change, so
the gradient has no part in these directions. (An upstream gradient of ones gives dx = 0 exactly and hides every bug. So
check with a random one.)

Evaluation uses running averages instead of μ and σ². They are constants, so dx = γ·ρ·dy.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.checks import check_alike, number, whole_number
from minikd.errors import ConfigError, ShapeError
from minikd.nn.initialization import constant
from minikd.nn.layer import Grads, Layer, check_input, check_upstream, expect_cache
from minikd.nn.renamed import renamed
from minikd.typing import Floats, Shape

Axes = tuple[int, ...]


class NormCache(NamedTuple):
    """x̂ and ρ for dx; γ; the axes of the means; the mean and variance, for the running averages."""

    xhat: Floats
    rho: Floats
    gamma: Floats
    axes: Axes
    mean: Floats
    var: Floats


class FixedNormCache(NamedTuple):
    """For evaluation: x̂, ρ and γ, and the axes over which dγ and dβ are summed. ρ does not depend on x."""

    xhat: Floats
    rho: Floats
    gamma: Floats
    axes: Axes


def normalize(x: Floats, gamma: Floats, beta: Floats, axes: Axes, eps: float) -> tuple[Floats, NormCache]:
    """Return y = γ·x̂ + β with mean and variance over `axes`, and the cache. γ and β broadcast against x.

    The variance is the biased one, Σ(x - μ)²/m (Ioffe & Szegedy 2015, algorithm 1; Ba et al. 2016, equation 3). m must
    be at least 2, because the variance of one value is always 0. Raises ShapeError, DtypeError and ConfigError.
    """
    eps = _checked(x, gamma, beta, eps, "normalize")
    behind = _values_per_mean(x.shape, axes)
    if behind < 2:
        raise ShapeError(
            f"normalize: x of shape {x.shape} has {behind} values for each mean, but a variance needs two; use a "
            "batch of at least 2 in training"
        )
    mean = _mean(x, axes)
    centred = x - mean
    var = _mean(centred * centred, axes)
    rho: Floats = 1 / module_of(x).sqrt(var + eps)
    xhat = centred * rho
    return gamma * xhat + beta, NormCache(xhat, rho, gamma, axes, mean, var)


def _mean(a: Floats, axes: Axes) -> Floats:
    """Return the mean over the axes, in a's dtype.

    The sum is taken in float64: a float32 sum over a batch of images loses up to four of its seven digits, and the
    error is the same for all values of a channel, so that it decides about the sign of many at once.
    """
    mean: Floats = a.mean(axes, keepdims=True, dtype=np.float64).astype(a.dtype, copy=False)
    return mean


def normalize_backward(dy: Floats, cache: NormCache) -> tuple[Floats, Floats, Floats]:
    """Return dx, dγ and dβ. The last two have γ's shape."""
    xhat, rho, gamma, axes = cache[:4]
    check_upstream(dy, xhat.shape, xhat.dtype, "normalize")
    g = gamma * dy
    dx: Floats = rho * (g - g.mean(axes, keepdims=True) - xhat * (g * xhat).mean(axes, keepdims=True))
    return dx, _sum_to(dy * xhat, gamma.shape), _sum_to(dy, gamma.shape)


def normalize_fixed(
    x: Floats, gamma: Floats, beta: Floats, mean: Floats, var: Floats, axes: Axes, eps: float
) -> tuple[Floats, FixedNormCache]:
    """Return y = γ·x̂ + β with a given mean and variance, as for batch norm in evaluation, and the cache.

    γ, β, mean and variance broadcast against x. Raises ShapeError, DtypeError and ConfigError.
    """
    eps = _checked(x, gamma, beta, eps, "normalize_fixed")
    for value, name in ((mean, "mean"), (var, "var")):
        _check_fits(value, x, f"normalize_fixed: {name}")
    rho: Floats = 1 / module_of(x).sqrt(var + eps)
    xhat = (x - mean) * rho
    return gamma * xhat + beta, FixedNormCache(xhat, rho, gamma, axes)


def normalize_fixed_backward(dy: Floats, cache: FixedNormCache) -> tuple[Floats, Floats, Floats]:
    """Return dx = γ·ρ·dy, dγ and dβ."""
    xhat, rho, gamma, _ = cache
    check_upstream(dy, xhat.shape, xhat.dtype, "normalize_fixed")
    return dy * (gamma * rho), _sum_to(dy * xhat, gamma.shape), _sum_to(dy, gamma.shape)


def _sum_to(a: Floats, shape: Shape) -> Floats:
    """Return `a` summed over the axes along which an array of `shape` was broadcast."""
    extra = a.ndim - len(shape)
    axes = (*range(extra), *(i + extra for i, size in enumerate(shape) if size == 1))
    total: Floats = a.sum(axes).reshape(shape)
    return total


def _checked(x: Floats, gamma: Floats, beta: Floats, eps: float, where: str) -> float:
    """Return ε as a Python float, or refuse an ε or an x with which normalisation is impossible."""
    check_input(x, gamma, where)
    _check_fits(gamma, x, f"{where}: gamma")
    _check_fits(beta, x, f"{where}: beta")
    return _check_eps(eps, where)


def _check_fits(value: Floats, x: Floats, what: str) -> None:
    """Refuse an array that does not broadcast against x, or would change its shape or dtype."""
    check_alike(x, value, "x", what)
    shape = x.shape[x.ndim - value.ndim :]
    if value.ndim > x.ndim or any(one not in (1, size) for one, size in zip(value.shape, shape, strict=True)):
        raise ShapeError(f"{what} has shape {value.shape}, which does not broadcast against x of shape {x.shape}")


def _values_per_mean(shape: Shape, axes: Axes) -> int:
    """Return the number of values in each mean over these axes."""
    there = [axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape)]
    if not axes or len({*there}) != len(axes):
        raise ShapeError(f"normalize: x has shape {shape}, so there is no mean over the axes {axes}")
    return math.prod(shape[axis] for axis in axes)


def _check_eps(eps: float, name: str) -> float:
    if not 0.0 < number(eps) < math.inf:
        raise ConfigError(
            f"{name}'s eps is {eps!r}, but must be positive, such as 1e-5: a constant channel has variance 0"
        )
    return number(eps)


class _BatchNorm(Layer):
    """Batch norm over the axes of a subclass, with `weight` (γ) and `bias` (β) of shape (num_features,).

    `state` has running averages, running ← (1 - momentum)·running + momentum·batch, with the unbiased variance, as in
    PyTorch. They change only in `update_state`, so the forward pass is pure.
    """

    across_batch = True
    axes: Axes
    ndim: int

    @renamed(features="num_features")
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        name = type(self).__name__
        if not 0.0 < number(momentum) <= 1.0:
            raise ConfigError(f"{name}'s momentum is {momentum!r}, but must be more than 0 and at most 1")
        self.num_features = whole_number(num_features, f"{name}'s num_features", 1)
        self.eps, self.momentum = _check_eps(eps, name), number(momentum)
        shape = (self.num_features,)
        self.params = _scale_and_shift(shape, name)
        self.state = {
            "running_mean": constant(0.0, shape, f"{name}'s mean"),
            "running_var": constant(1.0, shape, f"{name}'s variance"),
            "num_batches_tracked": np.zeros((), np.int64),
        }

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, NormCache | FixedNormCache]:
        name = type(self).__name__
        check_input(x, self.params["weight"], name)
        if x.ndim != self.ndim or x.shape[1] != self.num_features:
            wanted = ("N", str(self.num_features), "H", "W")[: self.ndim]
            raise ShapeError(f"{name}: x has shape {x.shape}, but must be ({', '.join(wanted)})")
        gamma, beta = self._broadcast(self.params["weight"]), self._broadcast(self.params["bias"])
        if not training:
            mean, var = self._broadcast(self.state["running_mean"]), self._broadcast(self.state["running_var"])
            return normalize_fixed(x, gamma, beta, mean, var, self.axes, self.eps)
        return normalize(x, gamma, beta, self.axes, self.eps)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        if isinstance(cache, FixedNormCache):
            dx, dgamma, dbeta = normalize_fixed_backward(dy, cache)
        else:
            dx, dgamma, dbeta = normalize_backward(dy, expect_cache(cache, NormCache, self))
        return dx, {"weight": dgamma.ravel(), "bias": dbeta.ravel()}

    def update_state(self, cache: object) -> None:
        seen = expect_cache(cache, NormCache, self)
        count = seen.xhat.size // self.num_features
        _move(self.state["running_mean"], seen.mean.ravel(), self.momentum)
        _move(self.state["running_var"], seen.var.ravel() * (count / (count - 1)), self.momentum)
        self.state["num_batches_tracked"] += 1

    def config(self) -> Mapping[str, object]:
        return {"num_features": self.num_features, "eps": self.eps, "momentum": self.momentum}

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != self.ndim - 1 or shape[0] != self.num_features:
            raise ShapeError(f"{self!r} needs samples with {self.num_features} channels first, but gets {shape}")
        return shape

    def _broadcast(self, value: Floats) -> Floats:
        """Return a value for each channel in a shape that broadcasts against x."""
        return value.reshape((1, -1) + (1,) * (self.ndim - 2))


def _scale_and_shift(shape: Shape, name: str) -> dict[str, Floats]:
    """Return γ of ones and β of zeros."""
    return {"weight": constant(1.0, shape, f"{name}'s weight"), "bias": constant(0.0, shape, f"{name}'s bias")}


def _move(average: Floats, value: Floats, momentum: float) -> None:
    """Move a running average towards `value`, in place."""
    average *= 1.0 - momentum
    average += momentum * value


class BatchNorm1d(_BatchNorm):
    """Batch norm of (N, num_features)."""

    axes, ndim = (0,), 2


class BatchNorm2d(_BatchNorm):
    """Batch norm of (N, num_features, H, W), with a mean and a variance for each channel."""

    axes, ndim = (0, 2, 3), 4


class LayerNorm(Layer):
    """Normalises each sample over its last axes.

    They, `weight` (γ) and `bias` (β) have the shape `normalized_shape`.
    """

    @renamed(shape="normalized_shape")
    def __init__(self, normalized_shape: int | Shape, eps: float = 1e-5) -> None:
        super().__init__()
        sizes = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        what = f"LayerNorm's normalized_shape is {normalized_shape}"
        self.normalized_shape: Shape = tuple(whole_number(size, f"{what}; a size", 1) for size in sizes)
        if math.prod(self.normalized_shape) < 2:
            raise ConfigError(f"{what}, but must hold at least 2 values: a single value has no variance")
        self.eps = _check_eps(eps, "LayerNorm")
        self.params = _scale_and_shift(self.normalized_shape, "LayerNorm")

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, NormCache]:
        check_input(x, self.params["weight"], "LayerNorm")
        if x.ndim <= len(self.normalized_shape) or x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(f"LayerNorm: x has shape {x.shape}, but must end in {self.normalized_shape}")
        axes = tuple(range(-len(self.normalized_shape), 0))
        return normalize(x, self.params["weight"], self.params["bias"], axes, self.eps)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        dx, dgamma, dbeta = normalize_backward(dy, expect_cache(cache, NormCache, self))
        return dx, {"weight": dgamma, "bias": dbeta}

    def config(self) -> Mapping[str, object]:
        return {"normalized_shape": self.normalized_shape, "eps": self.eps}

    def output_shape(self, shape: Shape) -> Shape:
        if shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(f"{self!r} needs samples that end in {self.normalized_shape}, but gets {shape}")
        return shape
