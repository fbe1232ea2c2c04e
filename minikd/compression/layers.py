"""A dense layer, a convolution and a ReLU that compute with rounded or pruned numbers.

The optimiser changes float32 weights. Each forward pass makes rounded or pruned ("small") weights from them:

    w  --prune-->  w · mask  --round-->  s q        with s[o, c] = 2^-round(k[o]) · unit[c]

The backward pass does the reverse. w gets the gradient with respect to s q if the weight is inside the range and not
pruned, and otherwise 0.

Rounding begins in the last part of the training. Until then, the network computes in floats, because it learns more
from exact gradients (Jacob et al. 2018, Quantization and training of neural networks, §3.1). When rounding begins, the
steps are chosen to fit the weights and activations of that moment.

The unit is 1, except in the first layer. In the export, that layer gets raw pixels, so its weights are multiplied by
256/(255 σ) (`exports.quantize`). There the steps are powers of two, so here the unit is 255 σ/256.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.compression.pruning import EVERY, fraction_out, smallest_out
from minikd.compression.straight_through import (
    BYTE,
    RoundedCache,
    not_rounded,
    power_of_two,
    power_of_two_backward,
    rounded,
    rounded_backward,
)
from minikd.errors import ConfigError
from minikd.exports.integer import LEVELS
from minikd.nn import Conv2d, Linear, blocks
from minikd.nn.layer import Grads, Layer, expect_cache
from minikd.typing import Floats, Shape

INITIAL_BITS = range(-8, 25)
"""The values of k that are tried for the initial step of a weight or an activation."""

ROUND_FROM = 0.8
"""The fraction of the training after which weights and activations are rounded."""


@dataclass(frozen=True)
class Compression:
    """How a student is compressed.

    quantize: the kind of rounded weights, "int8", "int4", "ternary", or "" for none. learned: whether the steps of the
    rounding are trained. prune: the fraction of each layer's weights that is pruned. steps: the number of training
    steps, for the schedules of rounding and pruning.
    """

    quantize: str = ""
    learned: bool = True
    prune: float = 0.0
    steps: int = 0

    @property
    def first_rounded_step(self) -> int:
        """The step from which weights and activations are rounded."""
        return int(ROUND_FROM * self.steps) if self.quantize else 0


def check_fraction(prune: float) -> float:
    """Return the fraction of weights to prune. Raises ConfigError if it is invalid."""
    if not isinstance(prune, int | float | np.floating) or not 0 <= prune < 1:
        raise ConfigError(f"prune is {prune!r}, but must be a number from 0 to less than 1")
    return float(prune)


class SmallWeights(NamedTuple):
    """A compressed layer's cache: the layer with the small weight and its cache, the rounding's cache, and the step."""

    layer: Linear | Conv2d
    cache: object
    rounding: RoundedCache | None
    step: Floats | None


class Scheduled(Layer):
    """A layer that counts the steps of its training. state: the number of "steps"."""

    how: Compression

    def rounds(self) -> bool:
        """Return whether the layer rounds now."""
        return int(self.state["steps"]) >= self.how.first_rounded_step

    def count_step(self) -> int:
        """Count a training step, and return how many there were."""
        self.state["steps"] += 1
        return int(self.state["steps"])


class Compressed(Scheduled):
    """The base of the dense layer and the convolution.

    params: "weight", "bias" and, if steps are trained, "weight_bits": k for each output, or one k for a last layer,
    because its outputs are compared. state: "steps"; "mask" if weights are pruned; "weight_bits" if steps are fixed.
    """

    def __init__(self, layer: Linear | Conv2d, how: Compression, unit: float, last: bool) -> None:
        super().__init__()
        self.how, self.unit, self.last, self.layer = how, unit, last, layer
        self.params = {name: value.copy() for name, value in layer.params.items()}
        weight = self.params["weight"]
        self.state["steps"] = module_of(weight).zeros((), np.int64)
        if how.quantize:
            bits = first_bits(weight / unit, LEVELS[how.quantize], last)
            (self.params if how.learned else self.state)["weight_bits"] = bits
        if how.prune:
            self.state["mask"] = module_of(weight).ones_like(weight)

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, SmallWeights]:
        w, rounding, step = self.small_weight()
        layer = self.with_weight(w)
        y, (cache,) = blocks.forward((layer,), 0, x, (), training, rng)
        return y, SmallWeights(layer, cache, rounding, step)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        cache = expect_cache(cache, SmallWeights, self)
        dx, grads = blocks.backward(cache.layer, dy, cache.cache, None)
        return dx, {**grads, **self.weight_gradients(grads["weight"], cache)}

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        cache = expect_cache(cache, SmallWeights, self)
        grads = blocks.parameter_gradients(cache.layer, dy, cache.cache, None)
        return {**grads, **self.weight_gradients(grads["weight"], cache)}

    def with_weight(self, w: Floats) -> Linear | Conv2d:
        """Return the layer that is compressed, with the weight w and this layer's bias."""
        layer = copy(self.layer)
        layer.params = {name: w if name == "weight" else self.params[name] for name in self.layer.params}
        return layer

    @property
    def bits(self) -> Floats:
        """k, a real number for each output."""
        return (self.params if self.how.learned else self.state)["weight_bits"]

    def step(self) -> Floats:
        """Return s, in a shape that broadcasts against the weight."""
        step: Floats = power_of_two(self.bits).reshape(-1, *(1,) * (self.params["weight"].ndim - 1)) * self.unit
        return step

    def small_weight(self) -> tuple[Floats, RoundedCache | None, Floats | None]:
        """Return the weight that the forward pass uses, the rounding's cache and the step."""
        weight = self.params["weight"]
        if self.how.prune:
            weight = weight * self.state["mask"]
        if not self.how.quantize:
            return weight, None, None
        step, Q = self.step(), LEVELS[self.how.quantize]
        return (*(rounded(weight, step, -Q, Q) if self.rounds() else not_rounded(weight, -inf, inf)), step)

    def weight_gradients(self, dw: Floats, cache: SmallWeights) -> Grads:
        """Return the gradients with respect to the weight and the bits, from that with respect to the small weight."""
        grads: Grads = {}
        if cache.rounding is not None and cache.step is not None:
            dw, dstep = rounded_backward(dw, cache.rounding)
            if self.how.learned:
                dbits = power_of_two_backward(dstep, cache.step)  # of each weight
                grads["weight_bits"] = dbits.reshape(len(self.params["weight_bits"]), -1).sum(1)
        grads["weight"] = dw * self.state["mask"] if self.how.prune else dw
        return grads

    def update_state(self, cache: object) -> None:
        now, last, weight = self.count_step(), self.how.steps, self.params["weight"]
        if self.how.prune and (now % EVERY == 0 or now == last):
            weight *= self.state["mask"]  # momentum may have changed pruned weights
            self.state["mask"][...] = smallest_out(weight, fraction_out(now / last, self.how.prune))
        if self.how.quantize and now == self.how.first_rounded_step:
            self.bits[...] = first_bits(weight / self.unit, LEVELS[self.how.quantize], self.last)

    def config(self) -> Mapping[str, object]:
        return {**self.layer.config(), **asdict(self.how), "unit": self.unit}

    def macs(self, shape: Shape) -> int:
        return self.to_layer().macs(shape)

    def output_shape(self, shape: Shape) -> Shape:
        return self.to_layer().output_shape(shape)

    def to_layer(self) -> Linear | Conv2d:
        """Return a dense layer or convolution with the small weights, for the export."""
        layer = self.with_weight(self.small_weight()[0])
        layer.params = {name: value.copy() for name, value in layer.params.items()}
        return layer


def first_bits(x: Floats, Q: int, together: bool) -> Floats:
    """Return the k with the smallest squared rounding error for each x[i], or one k for all together."""
    xp, rows = module_of(x), x.reshape(1 if together else len(x), -1)
    errors = []
    for k in INITIAL_BITS:
        small, _ = rounded(rows, xp.asarray(2.0**-k, rows.dtype), -Q, Q)
        errors.append(xp.square(small - rows).sum(1))
    best: Floats = (xp.argmin(xp.stack(errors), 0) + INITIAL_BITS.start).astype(rows.dtype)
    return best


class CompressedLinear(Compressed):
    """A dense layer with small weights."""

    short_name = "linear"


class CompressedConv2d(Compressed):
    """A convolution with small weights."""

    short_name = "conv2d"


class RoundedReLUCache(NamedTuple):
    """The rounding's cache, and the step."""

    rounding: RoundedCache
    step: Floats


class RoundedReLU(Scheduled):
    """A ReLU whose outputs are whole numbers of a step, 0 to 255: y = s · clip(round(x / s), 0, 255), s = 2^-round(m).

    `output_bits`, m, is trained, or fixed.
    """

    short_name = "relu"

    def __init__(self, bits: int, how: Compression, like: Floats) -> None:
        """Make the layer. Its bits have the dtype and the device of the array `like`."""
        super().__init__()
        self.how = how
        self.state["steps"] = module_of(like).zeros((), np.int64)
        (self.params if how.learned else self.state)["output_bits"] = module_of(like).full(1, bits, like.dtype)

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, RoundedReLUCache]:
        step = power_of_two(self._bits)
        y, cache = rounded(x, step, 0, BYTE) if self.rounds() else not_rounded(x, 0, inf)
        return y, RoundedReLUCache(cache, step)

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        rounding, step = expect_cache(cache, RoundedReLUCache, self)
        dx, dstep = rounded_backward(dy, rounding)
        return dx, {
            "output_bits": power_of_two_backward(dstep.sum(keepdims=True).ravel(), step)
        } if self.how.learned else {}

    def update_state(self, cache: object) -> None:
        if self.count_step() == self.how.first_rounded_step:
            y = expect_cache(cache, RoundedReLUCache, self).rounding.whole
            self._bits[...] = first_bits(y, BYTE, together=True)

    def config(self) -> Mapping[str, object]:
        return asdict(self.how)

    @property
    def bits(self) -> int:
        """m, rounded to a whole number."""
        return int(module_of(m := self._bits).rint(m)[0])

    @property
    def _bits(self) -> Floats:
        return (self.params if self.how.learned else self.state)["output_bits"]
