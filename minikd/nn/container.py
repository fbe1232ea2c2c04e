"""Sequential: a layer that runs other layers one after the other.

The chain rule: y = f_k(... f_2(f_1(x))), so dx = J_1ᵀ J_2ᵀ ... J_kᵀ dy. The product is computed from right to left.
Each step is the backward pass of one layer, and no Jacobian is computed.

A tap is the output h_i = f_i(... f_1(x)) of a layer inside the chain, returned in addition to y. A loss that depends on
both y and h_i has a gradient for each. h_i changes the loss in two ways, so its two gradients are added:

    dh_i = J_{i+1}ᵀ ... J_kᵀ dy + dtap_i

All parameters of a chain are in one vector (`one_vector`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import numpy as np

from minikd.backends import module_of
from minikd.checks import check_alike
from minikd.errors import ConfigError, DtypeError, MinikdError, ShapeError
from minikd.nn import blocks
from minikd.nn.dense_rows import DenseRow, dense_rows
from minikd.nn.layer import Grads, Layer, expect_cache
from minikd.nn.one_vector import OneVector
from minikd.nn.returned import check_grads
from minikd.nn.taps import NO_TAPS, Taps, by_number, numbers_of, with_tap
from minikd.typing import Floats, Shape


class ChainCache(tuple[object, ...]):
    """Each layer's cache, in order."""

    __slots__ = ()


class Sequential(OneVector):
    """A chain of layers, whose parameters are in one vector.

    The names and shapes are those of `torch.nn.Sequential`, so each can load the other's weights.
    """

    class_names: tuple[str, ...] = ()
    """The class name of each output, if known. `minikd.train`, `minikd.distill` and `load_model` set the names."""
    activation_bits: tuple[int, ...] = ()
    """If activations were rounded to bytes in training: the scale of each ReLU, m of 2^-m."""
    _rows: dict[int, DenseRow]

    def _bind_views(self, vector: Floats) -> None:
        super()._bind_views(vector)
        self._rows = dense_rows(self._layers, self._parts, vector)

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, ChainCache]:
        y, _, cache = self.forward_with_taps(x, (), training, rng)
        return y, cache

    def forward_with_taps(
        self, x: Floats, names: Sequence[str], training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, dict[str, Floats], ChainCache]:
        """Return the output, the outputs of the layers with these names or numbers, and the cache.

        The second ReLU has the name "relu_2"; each layer also has a number, see `taps`. `backward` and
        `parameter_gradients` get the gradients with respect to these outputs as `dtaps`. Raises ConfigError for an
        unknown name, with the names of the chain's layers.
        """
        numbers = numbers_of(names, self.layers)
        wanted = frozenset(numbers.values())
        caches: list[object] = []
        outputs: dict[str, Floats] = {}
        while (i := len(caches)) < len(self.layers):
            with naming(i, self.layers[i]):
                x, found = blocks.forward(self.layers, i, x, wanted, training, rng)
            caches += found
            if wanted and (last := str(len(caches) - 1)) in wanted:
                outputs[last] = x
        return x, {name: outputs[number] for name, number in numbers.items()}, ChainCache(caches)

    def __call__(self, x: Floats) -> Floats:
        """Return the output in evaluation mode, without a cache."""
        i, layers = 0, self._layers
        while i < len(layers):
            if (row := self._rows.get(i)) and (y := row.answer(x)) is not None:
                x, i = y, row.stop
                continue
            with naming(i, layers[i]):
                x, caches = blocks.forward(layers, i, x, (), False, None)
            i += len(caches)
        return x

    def backward(
        self, dy: Floats, cache: object, dtaps: Taps = NO_TAPS, into: Floats | None = None
    ) -> tuple[Floats, Grads]:
        """Return the gradient with respect to the input, and those of the parameters by dotted name.

        `dtaps` are gradients with respect to layers' outputs (see `forward_with_taps`), of their shapes and dtype.
        `into` is a vector for the parameters' gradients, in the order of `vector`.
        """
        dtaps = by_number(dtaps, self.layers)
        parts = self._check_back(dy, cache, dtaps, into)
        dx, found = self._backward_to(0, dy, self._caches_of(cache), dtaps, parts)
        return dx, self._in_order(found)

    def parameter_gradients(
        self, dy: Floats, cache: object, dtaps: Taps = NO_TAPS, into: Floats | None = None
    ) -> Grads:
        """Return only the gradients with respect to the parameters.

        The backward pass stops at the first layer with parameters.
        """
        first = next((i for i, layer in enumerate(self.layers) if layer.params), len(self.layers))
        if first == len(self.layers):
            return {}
        dtaps = by_number(dtaps, self.layers)
        parts, caches = self._check_back(dy, cache, dtaps, into), self._caches_of(cache)
        dy, found = self._backward_to(first + 1, dy, caches, dtaps, parts)
        with naming(first, self.layers[first]):
            dy = with_tap(first, dy, dtaps)
            found[first] = blocks.parameter_gradients(self.layers[first], dy, caches[first], parts[first])
        return self._in_order(found)

    def _backward_to(
        self, stop: int, dy: Floats, caches: ChainCache, dtaps: Taps, parts: Sequence[Floats | None]
    ) -> tuple[Floats, dict[int, Grads]]:
        """Run the backward pass from the last layer to number `stop`."""
        found: dict[int, Grads] = {}
        for i in reversed(range(stop, len(self.layers))):
            with naming(i, self.layers[i]):
                dy, found[i] = blocks.backward(self.layers[i], with_tap(i, dy, dtaps), caches[i], parts[i])
        return dy, found

    def _check_back(self, dy: Floats, cache: object, dtaps: Taps, into: Floats | None) -> list[Floats | None]:
        """Refuse gradients on another device than the parameters, and those with respect to an output inside a block.

        Returns each layer's part of `into`.
        """
        blocks.check_taps(dtaps, self._caches_of(cache))
        for gradient in (dy, *dtaps.values()):
            if self._vector.size and module_of(gradient) is not module_of(self.vector):
                raise DtypeError(
                    f"{self.in_one_line()}: dy is a {module_of(gradient).__name__} array, but the parameters are "
                    f"{module_of(self.vector).__name__} arrays; move it: dy = backend.put(dy)"
                )
        return [None] * len(self.layers) if into is None else list(self._parts_of(into))

    def _parts_of(self, into: Floats) -> Iterator[Floats]:
        """Yield each layer's part of a vector in the order of the chain's, or refuse a vector that does not fit."""
        self._check_bound()
        if into.shape != self._vector.shape:
            raise ShapeError(
                f"the gradients need a vector of shape {self._vector.shape}, as the parameters', but into has "
                f"{into.shape}"
            )
        check_alike(into, self._vector, "into", "the parameters' vector")
        start = 0
        for part in self._parts:
            yield into[start : start + part.size]
            start += part.size

    def _caches_of(self, cache: object) -> ChainCache:
        """Return the layers' caches, or refuse caches from a chain of another length."""
        caches = expect_cache(cache, ChainCache, self)
        if len(caches) != len(self.layers):
            raise DtypeError(
                f"{self.in_one_line()} got the cache of a chain of {len(caches)} layers, but has {len(self.layers)}"
            )
        return caches

    def _in_order(self, found: dict[int, Grads]) -> Grads:
        """Return the gradients with the parameters' names, in the order of the vector."""
        try:
            return {name: found[int(name.split(".")[0])][name.split(".", 1)[1]] for name in self.params}
        except (KeyError, TypeError) as error:
            for i, grads in found.items():
                with naming(i, self.layers[i]):
                    check_grads(self.layers[i], grads)
            raise ConfigError(f"{self.in_one_line()}: there is no gradient of {error}") from error

    def update_state(self, cache: object) -> None:
        for layer, own in zip(self.layers, self._caches_of(cache), strict=True):
            if layer.state:
                layer.update_state(own)

    def with_layers(self, layers: Iterable[Layer]) -> Self:
        """Return a chain of the same kind with other layers: for a residual block, a residual block."""
        twin = object.__new__(type(self))  # not type(self)(...): a subclass may have another constructor
        for name, value in self._attributes().items():
            object.__setattr__(twin, name, value)
        Sequential.__init__(twin, *layers)
        return twin

    def output_shape(self, shape: Shape) -> Shape:
        for i, layer in enumerate(self.layers):
            try:
                shape = tuple(layer.output_shape(shape))
            except MinikdError as error:  # the message begins with the layer
                raise type(error)(f"layer {i}: {error}") from error
        return shape

    def macs(self, shape: Shape) -> int:
        total = 0
        for layer in self.layers:
            total += layer.macs(shape)
            shape = layer.output_shape(shape)
        return total


@contextmanager
def naming(i: int, layer: Layer) -> Iterator[None]:
    """Add to every error the layer of the chain in which it was raised."""
    try:
        yield
    except MinikdError as error:
        raise type(error)(f"layer {i}, {layer.in_one_line()}: {error}") from error
