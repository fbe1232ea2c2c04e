"""The scale of the first weights: variances that neither die out nor blow up from layer to layer.

Weights are drawn on the host in float64 and rounded to float32, so that every backend starts from the same numbers.
"""

import math

import numpy as np

from minikd.errors import ConfigError
from minikd.typing import Floats, Shape


def he(rng: np.random.Generator, shape: Shape, fan_in: int) -> Floats:
    """Return float32 weights from N(0, 2/fan_in), for layers followed by a ReLU.

    A ReLU passes half of the signal's variance, and the 2 makes up for it: He et al. 2015, equation 10.
    """
    return (rng.standard_normal(shape) * math.sqrt(2.0 / fan_in)).astype(np.float32)


def glorot(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Floats:
    """Return float32 weights from U(-a, a), a = sqrt(6 / (fan_in + fan_out)), for tanh, sigmoid and linear outputs.

    The variance 2/(fan_in + fan_out) is the compromise between the forward pass, which asks for 1/fan_in, and the
    backward pass, which asks for 1/fan_out: Glorot & Bengio 2010, equation 16.
    """
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def initial_weight(init: str, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Floats:
    """Return a weight array by the name of its rule, "he" or "glorot"."""
    if not isinstance(rng, np.random.Generator):
        raise ConfigError(f"a layer's rng is {rng!r}, but must be a generator, such as np.random.default_rng(0)")
    if init == "he":
        return he(rng, shape, fan_in)
    if init == "glorot":
        return glorot(rng, shape, fan_in, fan_out)
    raise ConfigError(f"init is {init!r}, but must be 'he' (before a ReLU) or 'glorot' (before tanh or sigmoid)")
