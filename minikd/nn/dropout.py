"""Dropout: in training, each activation is kept with probability 1 - p, and multiplied by 1/(1 - p).

y = m·x with m = keep/(1 - p), keep 0 or 1. E[m] = 1, so the expected activation is the same as in evaluation, where
dropout does nothing. (This is "inverted" dropout. Srivastava et al. 2014, §10, scale at test time instead.) m is
constant within a step, so dx = m·dy, with the same m.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.checks import check_float, check_generator, number
from minikd.errors import ConfigError
from minikd.nn.layer import Grads, Layer, check_upstream, expect_cache
from minikd.nn.renamed import renamed
from minikd.typing import Floats, Shape


class DropoutCache(NamedTuple):
    """The factor m of each activation, or None in evaluation, where it is 1; and the output's shape and dtype."""

    m: Floats | None
    shape: Shape
    dtype: np.dtype[np.floating]


def checked_probability(p: float, where: str) -> float:
    """Return the probability as a Python float, or refuse one that is not in [0, 1)."""
    if not 0.0 <= number(p) < 1.0:
        raise ConfigError(f"{where}'s p is {p!r}, but must be at least 0 and less than 1")
    return number(p)


@renamed(rate="p")
def dropout(x: Floats, p: float, rng: np.random.Generator) -> tuple[Floats, DropoutCache]:
    """Return m·x, any shape. The host draws the mask, so that all backends get the same one. Raises ConfigError."""
    check_float(x, "dropout: x")
    check_generator(rng, "dropout's rng")
    p = checked_probability(p, "dropout")
    keep = rng.random(x.shape, np.float32) >= p
    m: Floats = module_of(x).asarray(keep.astype(x.dtype) * (1.0 / (1.0 - p)))
    return x * m, DropoutCache(m, x.shape, x.dtype)


def dropout_backward(dy: Floats, cache: DropoutCache) -> Floats:
    """Return dx = m·dy."""
    check_upstream(dy, cache.shape, cache.dtype, "dropout")
    return dy if cache.m is None else dy * cache.m


class Dropout(Layer):
    """Drops each activation with probability `p` in training. In evaluation, it is the identity."""

    @renamed(rate="p")
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = checked_probability(p, "Dropout")

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, DropoutCache]:
        check_float(x, "Dropout: x")
        if not training or self.p == 0.0:
            return x, DropoutCache(None, x.shape, x.dtype)
        if rng is None:
            raise ConfigError("Dropout draws a mask in training: pass forward(x, training=True, rng=generator)")
        return dropout(x, self.p, rng)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        return dropout_backward(dy, expect_cache(cache, DropoutCache, self)), {}

    def config(self) -> Mapping[str, object]:
        return {"p": self.p}
