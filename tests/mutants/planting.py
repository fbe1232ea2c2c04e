"""How a bug gets into the real engine for the length of a test: methods and functions wrapped, and put back after."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Mutant(NamedTuple):
    """A bug: what it is, how it is planted, and the check of `checks.CHECKS` that must find it."""

    group: str
    name: str
    plant: Callable
    by: str


class Kept(NamedTuple):
    """A mutated layer's cache: what the mutation may look at, and the real cache."""

    x: np.ndarray
    y: np.ndarray
    cache: object
    training: bool


class Scene:
    """One backward pass of a mutated layer: the layer, its input and output, dy, and the right gradients."""

    def __init__(self, layer, kept, dy, dx, grads, real):
        self.layer, self.x, self.y, self.training = layer, kept.x, kept.y, kept.training
        self.dy, self.dx, self.grads = dy, dx, grads
        self._real = real

    def gradients(self, x=None, dy=None, params=None, **settings):
        """Return the gradients that the real layer gives for another x or dy, other parameters or settings."""
        twin = self.layer.copy()
        for name, value in settings.items():
            assert hasattr(twin, name)
            setattr(twin, name, value)
        twin.params.update(params or {})
        forward, backward = self._real
        _, cache = forward(twin, self.x if x is None else x, self.training)
        return backward(twin, self.dy if dy is None else dy, cache)


def in_backward(cls, mutate):
    """Return a plant: `mutate(scene)` gives dx, or dx and the gradients, in place of the layer's own."""

    def plant(monkeypatch):
        real = cls.forward, cls.backward

        def forward(self, x, training=False, rng=None):
            y, cache = real[0](self, x, training, rng)
            return y, Kept(x, y, cache, training)

        def backward(self, dy, kept):
            dx, grads = real[1](self, dy, kept.cache)
            found = mutate(Scene(self, kept, dy, dx, grads, real))
            return found if isinstance(found, tuple) else (found, grads)

        monkeypatch.setattr(cls, "forward", forward)
        monkeypatch.setattr(cls, "backward", backward)

    return plant


def in_parameter(cls, name, mutate):
    """Return a plant that changes the gradient of one parameter only."""
    return in_backward(cls, lambda scene: (scene.dx, {**scene.grads, name: mutate(scene)}))


def in_layer(cls, forward, backward):
    """Return a plant that replaces both passes: forward(self, x, training, rng) and backward(self, dy, cache)."""

    def plant(monkeypatch):
        monkeypatch.setattr(cls, "forward", lambda self, x, training=False, rng=None: forward(self, x, training, rng))
        monkeypatch.setattr(cls, "backward", backward)

    return plant


def in_function(name, replace):
    """Return a plant: every minikd module that holds the function `name` gets `replace(real)` for it."""

    def plant(monkeypatch):
        import minikd.losses

        real = getattr(minikd.losses, name)
        places = [module for key, module in sys.modules.items() if key.startswith("minikd")]
        places = [module for module in places if getattr(module, name, None) is real]
        assert places
        mutated = replace(real)
        for module in places:
            monkeypatch.setattr(module, name, mutated)

    return plant


def attribute(place, name, replace):
    """Return a plant: `replace(real)` in the place of an attribute, and of a function wherever it was imported."""

    def plant(monkeypatch):
        real = getattr(place, name)
        mutated = replace(real)
        monkeypatch.setattr(place, name, mutated)
        for key, module in list(sys.modules.items()):
            if key.startswith(("minikd", "tests")) and getattr(module, name, None) is real:
                monkeypatch.setattr(module, name, mutated)

    return plant
