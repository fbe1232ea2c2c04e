"""The scale of the initial weights: with it, signals neither vanish nor explode from layer to layer.

The host draws the weights in float64 and rounds them to float32, so that every backend starts from the same numbers.
"""

import math

import numpy as np

from minikd.checks import check_generator
from minikd.errors import ConfigError
from minikd.memory import require
from minikd.typing import Floats, Shape

DRAWING = 16
"""The bytes for each weight while weights are drawn: a float64 before scaling and one after.

Training in float32 needs as many: 4 each for the model's vector, a gradient, and Adam's two means.
"""


def shape_text(shape: Shape) -> str:
    """Return a shape as "128 x 784"."""
    return " x ".join(f"{size:,}" for size in shape)


def constant(value: float, shape: Shape, what: str) -> Floats:
    """Return a float32 array of one value. Raises SizeError if there is not enough memory."""
    require(4 * math.prod(shape), f"{what} of {shape_text(shape)}", "use fewer units or channels, or smaller images")
    return np.full(shape, value, np.float32)


def he(rng: np.random.Generator, shape: Shape, fan_in: int) -> Floats:
    """Return float32 weights from N(0, 2/fan_in), for layers followed by a ReLU.

    A ReLU halves the signal's mean square, and the factor 2 corrects for this: He et al. 2015, equation 10.
    """
    return (rng.standard_normal(shape) * math.sqrt(2.0 / fan_in)).astype(np.float32)


def glorot(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Floats:
    """Return float32 weights from U(-a, a), a = sqrt(6 / (fan_in + fan_out)), for tanh, sigmoid and linear outputs.

    The variance 2/(fan_in + fan_out) is a compromise: the forward pass needs 1/fan_in, and the backward pass needs
    1/fan_out (Glorot & Bengio 2010, equation 16).
    """
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def initial_weight(
    init: str, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, what: str = "a layer's weight"
) -> Floats:
    """Return a weight array by the name of its rule, "he" or "glorot". Raises ConfigError and SizeError."""
    check_generator(rng, "a layer's rng")
    require(
        DRAWING * math.prod(shape), f"{what} of {shape_text(shape)}", "use fewer units or channels, or smaller images"
    )
    if init == "he":
        return he(rng, shape, fan_in)
    if init == "glorot":
        return glorot(rng, shape, fan_in, fan_out)
    raise ConfigError(f"init is {init!r}, but must be 'he' (before a ReLU) or 'glorot' (before tanh or sigmoid)")
