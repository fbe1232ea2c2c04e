"""What the straight-through estimator differentiates: the forward pass with each rounding error kept as it is at first.

Written down apart from the engine, in float64, and differentiated by central differences.
"""

import numpy as np

from minikd.compression import layers, straight_through

NUDGE = 1e-6


class Frozen:
    """Rounding whose errors are those of its first call, in the order of calls, until `again`."""

    def __init__(self):
        self.errors, self.place = [], 0

    def again(self):
        self.place = 0

    def error(self, value):
        if self.place == len(self.errors):
            self.errors.append(np.rint(value) - value)
        self.place += 1
        return self.errors[self.place - 1]

    def rounded(self, x, step, low, high):
        scaled = x / step
        self.place_of_inside(scaled, low, high)
        inside, whole = self.errors[self.place - 1]
        return step * np.where(inside, scaled + whole, whole), None

    def place_of_inside(self, scaled, low, high):
        if self.place == len(self.errors):
            inside = (scaled > low) & (scaled < high)
            self.errors.append((inside, np.where(inside, np.rint(scaled) - scaled, np.clip(scaled, low, high))))
        self.place += 1

    def power_of_two(self, bits):
        return 2.0 ** -(bits + self.error(bits))


def slope(f, x, direction):
    """Return the derivative of f at x along a direction."""
    return (f(x + NUDGE * direction) - f(x - NUDGE * direction)) / (2 * NUDGE)


def safe(scaled, low, high):
    """Return numbers of steps that lie away from ties and from the ends of the range, which rounding jumps at."""
    ends = np.minimum(np.abs(scaled - low), np.abs(scaled - high))
    return np.where(ends < 0.01, scaled + 0.02, scaled)


def check_rounding(seed, low, high):
    """Hold rounded_backward beside differences of the surrogate, along the inputs and along the steps."""
    rng = np.random.default_rng(seed)
    step = rng.uniform(0.1, 2, (4, 1))
    x = step * safe(rng.uniform(1.3 * low - 1, 1.3 * high + 1, (4, 9)), low, high)
    dy = rng.normal(size=x.shape)
    y, cache = straight_through.rounded(x, step, low, high)
    dx, dstep = straight_through.rounded_backward(dy, cache)
    frozen = Frozen()
    assert np.allclose(frozen.rounded(x, step, low, high)[0], y)

    def value(x, step):
        frozen.again()
        return float((dy * frozen.rounded(x, step, low, high)[0]).sum())

    for _ in range(3):
        along, change = rng.normal(size=x.shape), rng.normal(size=step.shape)
        assert np.isclose(slope(lambda x: value(x, step), x, along), (dx * along).sum(), rtol=1e-5, atol=1e-6)
        assert np.isclose(slope(lambda s: value(x, s), step, change), (dstep * change).sum(), rtol=1e-5, atol=1e-6)


def check_layer(layer, shape, seed=0):
    """Hold a layer's backward pass beside differences of its forward pass with the rounding frozen."""
    rng = np.random.default_rng(seed)
    layer = layer.astype("float64")
    for name, value in layer.params.items():
        value += rng.normal(0, 0.3, value.shape)  # off the first bits, so that their rounding has an error
        if name == "bias":
            value[...] = rng.normal(size=value.shape)
    if "mask" in layer.state:
        layer.state["mask"][...] = rng.random(layer.state["mask"].shape) < 0.5
    x = rng.normal(0, 20 if isinstance(layer, layers.RoundedReLU) else 1, shape)
    y, cache = layer.forward(x)
    dy = rng.normal(size=y.shape)
    dx, grads = layer.backward(dy, cache)
    frozen = Frozen()

    def value(x):
        frozen.again()
        return float((dy * frozen_forward(layer, frozen, x)).sum())

    assert np.isclose(value(x), (dy * y).sum())
    along = rng.normal(size=x.shape)
    assert np.isclose(slope(value, x, along), (dx * along).sum(), rtol=1e-5, atol=1e-6)
    assert grads.keys() == layer.params.keys()
    for name, param in layer.params.items():
        along, kept = rng.normal(size=param.shape), param.copy()

        def moved(new, param=param):
            param[...] = new
            return value(x)

        expected = (grads[name] * along).sum()
        assert np.isclose(slope(moved, kept, along), expected, rtol=1e-5, atol=1e-6), name
        param[...] = kept
    alone = layer.parameter_gradients(dy, cache)
    assert all(np.allclose(alone[name], grads[name]) for name in grads)


def frozen_forward(layer, frozen, x):
    """Run the layer's own forward pass with the two roundings replaced."""
    before = layers.rounded, layers.power_of_two
    layers.rounded, layers.power_of_two = frozen.rounded, frozen.power_of_two
    try:
        return layer.forward(x)[0]
    finally:
        layers.rounded, layers.power_of_two = before
