"""What every layer is: parameters, a forward pass that returns its cache, a backward pass that takes it.

The mathematics lives in pure functions beside each layer (`linear`, `linear_backward`, ...). A layer object only holds
the parameters and calls them. It never keeps the cache: `forward` returns it and `backward` receives it, so there is no
stale state, two threads can use one layer at once, and a lesson can print the cache.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

import numpy as np

from minikd.backend import Backend, module_of
from minikd.errors import DtypeError, ShapeError
from minikd.typing import Floats, Shape

Grads = dict[str, Floats]
"""The gradient of each parameter, under the parameter's name."""

CacheT = TypeVar("CacheT")


class Layer:
    """The base of every layer, and all that a learner's own layer must have.

    `params` are trained: the optimiser changes them in place, so never copy one into an attribute of its own. `state`
    is what training leaves behind without a gradient (running statistics). Both map a name to an array, float32 until
    `astype` says otherwise.
    """

    params: dict[str, Floats]
    state: dict[str, Floats]
    across_batch = False
    """True where an output depends on the other samples of the batch, so that a batch must not be cut into shards."""
    chained = False
    """True once the layer stands in a chain, whose vector holds its parameters: it cannot stand in a second one."""

    def __init__(self) -> None:
        self.params = {}
        self.state = {}

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, object]:
        """Return the output and the cache that `backward` needs; `x` is not changed."""
        raise NotImplementedError(f"{type(self).__name__} has no forward pass")

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        """Return the gradient by the input and by each parameter, from the gradient `dy` by the output."""
        raise NotImplementedError(f"{type(self).__name__} has no backward pass")

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        """Return the gradients by the parameters alone, for a first layer: nobody trains its input.

        A layer overrides this where leaving the input's gradient out saves work.
        """
        return self.backward(dy, cache)[1]

    def update_state(self, cache: object) -> None:
        """Bring `state` up to date after a training step, from that step's cache."""

    def config(self) -> Mapping[str, object]:
        """Return the constructor's arguments, without the generator: what a weights file says about this layer."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of one output sample from that of one input sample, (C, H, W) or (features,)."""
        return shape

    def macs(self, shape: Shape) -> int:
        """Return the multiply-adds of one sample of this shape; elementwise work is not counted."""
        return 0

    @property
    def size(self) -> int:
        """The number of trained values."""
        return sum(value.size for value in self.params.values())

    def bind(self, vector: Floats) -> None:
        """Make each parameter a view of `vector`, which holds their values one after the other."""
        start = 0
        for name, value in self.params.items():
            self.params[name] = vector[start : start + value.size].reshape(value.shape)
            start += value.size

    def converted(self, convert: Callable[[Floats], Floats]) -> Self:
        """Return a copy of this layer whose parameters and state went through `convert`."""
        twin = copy.deepcopy(self)
        twin.chained = False
        twin.params = {name: convert(value) for name, value in self.params.items()}
        twin.state = {name: convert(value) for name, value in self.state.items()}
        return twin

    def copy(self) -> Self:
        """Return an independent copy."""
        return self.converted(lambda value: value.copy())

    def astype(self, dtype: str) -> Self:
        """Return a copy in "float32" or "float64"; counters keep their integers."""
        return self.converted(lambda value: value.astype(dtype) if value.dtype.kind == "f" else value.copy())

    def to(self, backend: Backend) -> Self:
        """Return a copy whose arrays lie on `backend`'s device."""
        return self.converted(backend.put)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self.config().items())})"


def expect_cache(cache: object, kind: type[CacheT], layer: Layer) -> CacheT:
    """Return `cache` with its type known, or say which layer received whose cache."""
    if not isinstance(cache, kind):
        raise DtypeError(
            f"{layer!r}.backward got a {type(cache).__name__}, but needs the {kind.__name__} "
            "that its own forward returned"
        )
    return cache


def check_input(x: Floats, w: Floats, where: str) -> None:
    """Refuse an input that cannot meet the parameter `w`: on another device, or of another dtype."""
    if module_of(x) is not module_of(w):
        raise DtypeError(
            f"{where}: x is a {module_of(x).__name__} array, but the parameters are {module_of(w).__name__} arrays; "
            "move one of them: x = backend.put(x), or model = model.to(backend)"
        )
    if x.dtype != w.dtype:
        raise DtypeError(
            f"{where}: x is {x.dtype}, but the parameters are {w.dtype}; "
            f"use x.astype({str(w.dtype)!r}), or model.astype(...)"
        )


def check_float(x: Floats, where: str) -> None:
    """Refuse whole numbers: they would wrap around in a sum, or become float64, silently."""
    if x.dtype.kind != "f":
        raise DtypeError(f"{where}: x is {x.dtype}, but must be float32 or float64; use x.astype('float32')")


def check_upstream(dy: Floats, shape: Shape, dtype: np.dtype[np.floating], where: str) -> None:
    """Refuse an upstream gradient that has not the shape and dtype of the output it belongs to."""
    if dy.shape != shape:
        raise ShapeError(f"{where}: dy has shape {dy.shape}, but the output had shape {shape}")
    if dy.dtype != dtype:
        raise DtypeError(f"{where}: dy is {dy.dtype}, but the output was {dtype}; use dy.astype({str(dtype)!r})")
