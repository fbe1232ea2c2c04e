"""Bugs of rounding, of its gradient, of pruning, and of low rank."""

import math

import numpy as np

from minikd.compression import layers, low_rank, pruning, straight_through
from minikd.compression.layers import Compressed, RoundedReLU, Scheduled
from tests.mutants.planting import Mutant, attribute

ROUNDING = "identity: rounding has the gradient with its errors kept fixed"
LAYERS = "identity: small layers have the gradients with their rounding kept fixed"
PRUNING = "identity: pruning follows the cubic curve and takes the smallest"
SCHEDULE = "identity: rounding begins late with steps that fit"
LOW_RANK = "identity: two thin layers miss by the singular values that are cut off and share the rest"


def backward(dx=None, dstep=None):
    """Return a plant for rounded_backward: dx(dy, cache), dstep(dy, cache) in place of the right ones."""

    def replace(real):
        def wrong(dy, cache):
            right = real(dy, cache)
            return (dx(dy, cache) if dx else right[0]), (dstep(dy, cache) if dstep else right[1])

        return wrong

    return attribute(straight_through, "rounded_backward", replace)


def of_bits(wrong):
    return attribute(straight_through, "power_of_two_backward", lambda real: wrong)


def forward(round_):
    """Return a plant for the forward pass with another rounding."""

    def replace(real):
        def wrong(x, step, low, high):
            _, cache = real(x, step, low, high)
            q = np.clip(round_(x / step), low, high)
            return q * step, cache._replace(whole=q)

        return wrong

    return attribute(straight_through, "rounded", replace)


def weight_gradients(mutate):
    """Return a plant: mutate(layer, grads) in place of a small layer's gradients."""

    def plant(monkeypatch):
        real = Compressed.weight_gradients
        monkeypatch.setattr(
            Compressed, "weight_gradients", lambda self, dw, cache: mutate(self, dw, real(self, dw, cache))
        )

    return plant


def mask_forgotten(layer, dw, grads):
    """The gradient of a pruned weight is let through."""
    return {**grads, "weight": dw} if layer.how.prune else grads


def bits_of_one_weight(layer, dw, grads):
    """A mean over the weights that share a step in place of the sum."""
    shared = layer.params["weight"].size // len(layer.params["weight_bits"])
    return {**grads, "weight_bits": grads["weight_bits"] / shared}


def factors_of(wrong):
    """Return a plant: wrong(U, S, Vᵀ, rank) gives the factors u, v in place of the right ones."""
    return attribute(
        low_rank, "factors", lambda real: lambda w, rank: wrong(*np.linalg.svd(w, full_matrices=False), rank)
    )


def bias_forgotten(real):
    """The old bias is forgotten."""

    def wrong(layer, rank):
        *before, last = real(layer, rank)
        last.params["bias"][...] = 0
        return [*before, last]

    return wrong


MUTANTS = [
    Mutant("rounding", "the gradient passes outside the range, too", backward(dx=lambda dy, cache: dy), ROUNDING),
    Mutant("rounding", "the true derivative, 0", backward(dx=lambda dy, cache: 0 * dy), ROUNDING),
    Mutant("rounding", "the step's gradient without x/s", backward(dstep=lambda dy, c: dy * c.whole), ROUNDING),
    Mutant(
        "rounding", "the step's gradient is x/s - q", backward(dstep=lambda dy, c: dy * (c.scaled - c.whole)), ROUNDING
    ),
    Mutant(
        "rounding",
        "the step's gradient outside the range is q - x/s",
        backward(dstep=lambda dy, c: dy * (c.whole - c.scaled)),
        ROUNDING,
    ),
    Mutant("rounding", "truncated", forward(np.trunc), "identity: rounding goes to the nearest whole number of steps"),
    Mutant("rounding", "rounded up", forward(np.ceil), "identity: rounding goes to the nearest whole number of steps"),
    Mutant("bits", "without ln 2", of_bits(lambda dstep, step: -dstep * step), LAYERS),
    Mutant("bits", "of 2^k, not of 2^-k", of_bits(lambda dstep, step: dstep * step * math.log(2)), LAYERS),
    Mutant("bits", "not times the step", of_bits(lambda dstep, step: -dstep * math.log(2)), LAYERS),
    Mutant("small layer", "a pruned weight has a gradient", weight_gradients(mask_forgotten), LAYERS),
    Mutant("small layer", "a mean over weights for the bits", weight_gradients(bits_of_one_weight), LAYERS),
    Mutant(
        "small layer",
        "the first step is too coarse",
        attribute(layers, "first_bits", lambda real: lambda weight, Q, last: real(weight, Q, last) - 1),
        "identity: the first step is the one with the smallest rounding error",
    ),
    Mutant("schedule", "rounds from the start", attribute(layers, "ROUND_FROM", lambda real: 0.0), SCHEDULE),
    Mutant("schedule", "never rounds", attribute(Scheduled, "rounds", lambda real: lambda self: False), SCHEDULE),
    Mutant(
        "schedule",
        "begins with the steps of the untrained network",
        attribute(Compressed, "update_state", lambda real: lambda self, cache: self.count_step()),
        SCHEDULE,
    ),
    Mutant(
        "schedule",
        "begins with the activations' steps of the untrained network",
        attribute(RoundedReLU, "update_state", lambda real: lambda self, cache: self.count_step()),
        SCHEDULE,
    ),
    Mutant(
        "pruning",
        "along a line",
        attribute(
            pruning,
            "fraction_out",
            lambda real: lambda t, goal: goal * min(1, max(0, (t - pruning.BEGIN) / (pruning.END - pruning.BEGIN))),
        ),
        PRUNING,
    ),
    Mutant(
        "pruning",
        "the largest are out",
        attribute(pruning, "smallest_out", lambda real: lambda weight, fraction: real(-1 / weight, fraction)),
        PRUNING,
    ),
    Mutant(
        "low rank",
        "the smallest singular values are kept",
        factors_of(lambda U, S, V, r: (U[:, -r:] * np.sqrt(S[-r:]), np.sqrt(S[-r:])[:, None] * V[-r:])),
        LOW_RANK,
    ),
    Mutant(
        "low rank",
        "both factors have the whole singular values",
        factors_of(lambda U, S, V, r: (U[:, :r] * S[:r], S[:r, None] * V[:r])),
        LOW_RANK,
    ),
    Mutant(
        "low rank",
        "one factor has all of the singular values",
        factors_of(lambda U, S, V, r: (U[:, :r] * S[:r], V[:r])),
        LOW_RANK,
    ),
    Mutant("low rank", "the bias is forgotten", attribute(low_rank, "thin", bias_forgotten), LOW_RANK),
]
