"""What every layer is: parameters, a forward pass that returns its cache, a backward pass that takes it.

The mathematics lives in pure functions beside each layer (`linear`, `linear_backward`, ...). A layer object only holds
the parameters and calls them. It never keeps the cache: `forward` returns it and `backward` receives it, so there is no
stale state, two threads can use one layer at once, and a lesson can print the cache.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from minikd.errors import DtypeError, ShapeError
from minikd.typing import Floats, Shape

Grads = dict[str, Floats]
"""The gradient of each parameter, under the parameter's name."""

CacheT = TypeVar("CacheT")


class Layer:
    """The base of every layer, and all that a learner's own layer must have.

    `params` are trained: the optimiser changes them in place, so never copy one into an attribute of its own. `state`
    is what training leaves behind without a gradient (running statistics). Both map a name to an array.
    """

    params: dict[str, Floats]
    state: dict[str, Floats]
    across_batch = False
    """True where an output depends on the other samples of the batch, so that a batch must not be cut into shards."""

    def __init__(self) -> None:
        self.params = {}
        self.state = {}

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, object]:
        """Return the output and the cache that `backward` needs; `x` is not changed."""
        raise NotImplementedError(f"{type(self).__name__} has no forward pass")

    def backward(self, dy: Floats, cache: object, need_dx: bool = True) -> tuple[Floats, Grads]:
        """Return the gradient by the input and by each parameter, from the gradient `dy` by the output.

        With `need_dx=False` (the first layer of a network, whose input nobody trains) a layer may return `dy` in
        place of the input's gradient and save the work.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward pass")

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


def check_upstream(dy: Floats, shape: Shape, dtype: np.dtype[np.floating], where: str) -> None:
    """Refuse an upstream gradient that has not the shape and dtype of the output it belongs to."""
    if dy.shape != shape:
        raise ShapeError(f"{where}: dy has shape {dy.shape}, but the output had shape {shape}")
    if dy.dtype != dtype:
        raise DtypeError(f"{where}: dy is {dy.dtype}, but the output was {dtype}; use dy.astype({str(dtype)!r})")
