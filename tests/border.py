"""How one suite tests both backends: under `--backend cupy` every call of the engine by a test crosses to the device.

A test makes NumPy arrays, calls a layer, a loss or an optimiser, and looks at NumPy arrays. Here the engine's public
calls are wrapped: arrays that come from the host are put on the device, the real function runs there, and what it
returns must be on the device before it is fetched. Inside the engine no call crosses, for there all arrays are on the
device already: a layer that fell back to NumPy on its way would fail, as CuPy refuses mixed arrays. Class numbers stay
on the host, where the losses check them, and caches stay on the device, where the backward pass expects them.

Calls with arrays of the device are passed on as they are, so a test may also do all this itself; and where it wants
NumPy, to compare, it closes the border (`closed`).
"""

import functools
import sys
from contextlib import contextmanager

import numpy as np

from minikd import losses, nn, norms, optim
from minikd.backends import Backend, module_of, to_host
from minikd.nn import activations, conv, dropout, linear, normalization, pooling

DEVICE = Backend("cupy", "the tests run on it")
FUNCTIONS = {
    activations: ("relu", "leaky_relu", "sigmoid", "tanh", "gelu"),
    conv: ("conv2d",),
    dropout: ("dropout",),
    linear: ("linear",),
    normalization: ("normalize", "normalize_fixed"),
    pooling: ("max_pool2d", "avg_pool2d", "global_avg_pool2d"),
}

ON_THE_HOST = ("virtual_teacher",)
"""What makes its result on the host, of class numbers alone."""


def open_border():
    """Wrap the engine's public calls for the rest of this process."""
    for module, names in FUNCTIONS.items():
        for name in (*names, *(f"{name}_backward" for name in names)):
            everywhere(getattr(module, name))
    for name in losses.__all__:
        if name not in ON_THE_HOST:
            everywhere(getattr(losses, name))
    for kind in kinds(nn.Layer):
        for name in ("forward", "forward_with_taps", "__call__", "backward", "parameter_gradients"):
            if name in vars(kind):
                setattr(kind, name, method(vars(kind)[name]))
        if "update_state" in vars(kind):
            kind.update_state = update(kind.update_state)
    everywhere(norms.clip_by_norm)
    for kind in (optim.SGD, optim.Adam):
        kind.step = step(kind.step)


def everywhere(real):
    """Wrap a function in every module of the package that holds it."""
    wrapped = function(real)
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "minikd"]:
        if getattr(module, real.__name__, None) is real:
            setattr(module, real.__name__, wrapped)


is_open = True


@contextmanager
def closed():
    """Let NumPy arrays be computed by NumPy inside."""
    global is_open
    is_open = False
    try:
        yield
    finally:
        is_open = True


def kinds(layer):
    """Yield every kind of layer of the engine, bases too."""
    for kind in layer.__subclasses__():
        if kind.__module__.startswith("minikd."):
            yield kind
            yield from kinds(kind)


def is_host(value):
    return isinstance(value, np.ndarray | np.floating)


def crosses(value):
    return is_open and is_host(value)


class Crossing:
    """One call's way over the border and back; what the engine hands through comes back as the test's own array."""

    def __init__(self):
        self.own = []

    def put(self, value):
        """Return an array of the host on the device, unless it is class numbers; anything else as it is."""
        if isinstance(value, dict):
            return {name: self.put(one) for name, one in value.items()}
        if not is_host(value) or (value.dtype.kind != "f" and value.ndim < 2):
            return value
        there = DEVICE.put(np.asarray(value))
        self.own.append((there, value))
        return there

    def fetch(self, value):
        """Return the arrays of a result on the host, once it is clear that they were made on the device."""
        if isinstance(value, dict):
            return {name: self.fetch(one) for name, one in value.items()}
        if type(value) is tuple:
            return tuple(self.fetch(one) for one in value)
        assert not is_host(value), "the engine has left the device"
        if module_of(value) is np:
            return value
        own = [own for there, own in self.own if there is value]
        return own[0] if own else host(value)


def host(value):
    """Return an array of the device as the engine on NumPy returns it: a number of no dimension as a scalar."""
    return to_host(value)[()]


def function(real):
    """Return the function, wrapped: it crosses unless its first array is on the device already."""

    @functools.wraps(real)
    def crossing(*arguments, **named):
        if not crosses(arguments[0]):
            return real(*arguments, **named)
        way = Crossing()
        return way.fetch(real(*map(way.put, arguments), **{name: way.put(value) for name, value in named.items()}))

    return crossing


def method(real):
    """Return a layer's method, wrapped: a twin of the layer on the device does the work."""

    @functools.wraps(real)
    def crossing(self, array, *others, **named):
        if not crosses(array) or on_device(self):
            return real(self, array, *others, **named)
        way = Crossing()
        there = {name: way.put(value) for name, value in named.items()}
        found = way.fetch(real(self.to(DEVICE), way.put(array), *map(way.put, others), **there))
        if is_host(named.get("into")):  # written in place
            named["into"][...] = to_host(there["into"])
        return found

    return crossing


def on_device(layer):
    return any(module_of(value) is not np for value in (*layer.params.values(), *layer.state.values()))


def update(real):
    """Return update_state, wrapped: the twin learns from the cache, and the layer takes over what it has learnt."""

    @functools.wraps(real)
    def crossing(self, cache):
        if not is_open or on_device(self):
            return real(self, cache)
        twin = self.to(DEVICE)
        real(twin, cache)
        for own, learnt in ((self.state, twin.state), (self.params, twin.params)):
            for name, value in learnt.items():
                own[name][...] = to_host(value)
        return None

    return crossing


def step(real):
    """Return an optimiser's step, wrapped: what it changes in place on the device is brought back in place."""

    @functools.wraps(real)
    def crossing(self, params, grads, state, lr):
        if not crosses(params):
            return real(self, params, grads, state, lr)
        way = Crossing()
        there = {name: way.put(value) for name, value in state.items()}  # all but the step count
        moved = way.put(params)
        real(self, moved, way.put(grads), there, lr)
        params[...] = to_host(moved)
        for name, value in there.items():
            state[name][...] = to_host(value)
        return None

    return crossing
