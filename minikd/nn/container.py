"""Sequential: a layer that runs other layers one after the other.

The chain rule of a chain: y = f_k(... f_2(f_1(x))), so dx = J_1ᵀ J_2ᵀ ... J_kᵀ dy. Evaluated from the right, each
step is one layer's backward pass; no Jacobian is ever formed.

A tap is the output h_i = f_i(... f_1(x)) of a layer inside the chain, handed out beside y. A loss that depends on both
sends back two gradients, and h_i reaches it by both ways, so they are added where the backward pass comes by:

    dh_i = J_{i+1}ᵀ ... J_kᵀ dy + dtap_i

All parameters of a chain lie in one vector, and each layer's arrays are views of it: an optimiser is one loop over one
array, a checkpoint one write, a gradient check one random direction.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

import numpy as np

from minikd.backends import module_of
from minikd.checks import check_alike
from minikd.errors import ConfigError, DtypeError, MinikdError, ShapeError
from minikd.nn import blocks
from minikd.nn.arrays import Arrays, check_apart, write
from minikd.nn.dense_rows import DenseRow, dense_rows
from minikd.nn.layer import BINDING, Grads, Layer, check_upstream, expect_cache
from minikd.nn.one_vector import check_links, in_a_row, named_by_layer
from minikd.nn.returned import check_grads
from minikd.typing import Array, Floats, Shape

Taps = Mapping[str, Floats]
"""Outputs of a chain's layers, or gradients with respect to them, under the layers' numbers: "4" as in "4.weight"."""

NO_TAPS: Taps = {}


class ChainCache(tuple[object, ...]):
    """Each layer's cache, in order."""

    __slots__ = ()


class Sequential(Layer):
    """A chain of layers. `vector` holds every parameter; `params` and `state` name them "0.weight", "0.bias", ...

    The names and shapes are those of `torch.nn.Sequential`, so weights travel both ways. A layer object may stand at
    one place of one chain only, for its arrays become views of that chain's vector. What is assigned to `vector`, to
    `params` or to a layer's is written into that memory. A copy, by whatever way, has a vector of its own, and trains
    as this chain would.
    """

    class_names: tuple[str, ...] = ()
    """What each output stands for, where it is known: `minikd.train`, `minikd.distill` and `load_model` say so."""
    activation_bits: tuple[int, ...] = ()
    """The scales of bytes, m of 2^-m, that it was trained to round its activations to, one for each ReLU."""
    _parts: list[Floats]
    _rows: dict[int, DenseRow]

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        check_links(layers)
        self._layers = layers
        self.across_batch = any(layer.across_batch for layer in layers)
        self._join()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, first to last."""
        return self._layers

    @layers.setter
    def layers(self, layers: Sequence[Layer]) -> None:
        raise ConfigError("a chain keeps its layers, as its vector holds their parameters; make a new chain of them")

    @property
    def vector(self) -> Floats:
        """Every parameter of the chain, (P,). An assignment writes the values into it."""
        return self._vector

    @vector.setter
    def vector(self, values: Floats) -> None:
        write(self._vector, values, "vector")

    def _lay(self, vector: Floats) -> None:
        self._parts, start = [], 0
        for layer in self._layers:
            part = vector[start : start + layer.size]
            layer._lay(part)
            self._parts.append(part)
            start += layer.size
        self._vector, self._rows = vector, dense_rows(self._layers, self._parts, vector)
        self._params.exchange(named_by_layer(self._layers, "params"))
        self._state.exchange(named_by_layer(self._layers, "state"))
        self._params.held = self._state.held = True

    def _join(self) -> None:
        """Lay the layers' parameters into one vector, and name them and the layers' state."""
        params, state = named_by_layer(self._layers, "params"), named_by_layer(self._layers, "state")
        vector = in_a_row(params)
        check_apart({**params, **state})
        for layer in self._layers:
            layer.chained = layer.state.held = True
        self._params, self._state = Arrays(params), Arrays(state)
        self.bind(vector)

    def _inside(self) -> Iterator[Layer]:
        yield self
        for layer in self._layers:
            yield from layer._inside()

    def _check_bound(self) -> None:
        """Refuse to go on where a layer's parameters are no longer a part of the vector."""
        for i, (layer, part) in enumerate(zip(self._layers, self._parts, strict=True)):
            if not layer.bound_to(part):
                raise ConfigError(
                    f"the parameters of layer {i}, {layer.in_one_line()}, lie in another vector than the chain's, "
                    "which would neither train nor save them; give the other a copy: layer.copy(), and copy a chain by "
                    "model.copy(), copy.deepcopy(model) or pickle"
                )
            if isinstance(layer, Sequential):
                layer._check_bound()

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, ChainCache]:
        y, _, cache = self.forward_with_taps(x, (), training, rng)
        return y, cache

    def forward_with_taps(
        self, x: Floats, names: Sequence[str], training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, dict[str, Floats], ChainCache]:
        """Return the output, the outputs of the layers of these numbers by name, and the cache.

        `backward` and `parameter_gradients` take the gradients with respect to such outputs as `dtaps`. Raises
        ConfigError for a name that is none of the chain's own layers' numbers.
        """
        self._check_names(names)
        wanted = frozenset(names)
        caches: list[object] = []
        taps: dict[str, Floats] = {}
        while (i := len(caches)) < len(self.layers):
            with naming(i, self.layers[i]):
                x, found = blocks.forward(self.layers, i, x, wanted, training, rng)
            caches += found
            if wanted and (last := str(len(caches) - 1)) in wanted:
                taps[last] = x
        return x, taps, ChainCache(caches)

    def _check_names(self, names: Iterable[str]) -> None:
        """Refuse names of taps that are no layers' numbers."""
        numbers = set(map(str, range(len(self.layers)))) if names else ()
        for name in names:
            if name not in numbers:
                known = ", ".join(f"{i} {type(layer).__name__}" for i, layer in enumerate(self.layers))
                raise ConfigError(f"there is no layer {name!r} to tap; the chain's layers are {known or 'none'}")

    def __call__(self, x: Floats) -> Floats:
        """Return the output in evaluation mode, keeping no cache."""
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
        """Return the gradient with respect to the input, and by each parameter under its dotted name.

        `dtaps` are gradients with respect to layers' outputs (see `forward_with_taps`), of their shapes and dtype.
        `into` is a vector to be filled with the parameters' gradients, laid out as `vector`.
        """
        parts = self._check_back(dy, cache, dtaps, into)
        dx, found = self._backward_to(0, dy, self._own(cache), dtaps, parts)
        return dx, self._in_order(found)

    def parameter_gradients(
        self, dy: Floats, cache: object, dtaps: Taps = NO_TAPS, into: Floats | None = None
    ) -> Grads:
        """Return the gradients with respect to the parameters alone; first layers without parameters are left out."""
        first = next((i for i, layer in enumerate(self.layers) if layer.params), len(self.layers))
        if first == len(self.layers):
            return {}
        parts, caches = self._check_back(dy, cache, dtaps, into), self._own(cache)
        dy, found = self._backward_to(first + 1, dy, caches, dtaps, parts)
        with naming(first, self.layers[first]):
            dy = _joined(first, dy, dtaps)
            found[first] = blocks.parameter_gradients(self.layers[first], dy, caches[first], parts[first])
        return self._in_order(found)

    def _backward_to(
        self, stop: int, dy: Floats, caches: ChainCache, dtaps: Taps, parts: Sequence[Floats | None]
    ) -> tuple[Floats, dict[int, Grads]]:
        """Take dy back through the layers from the last to number `stop`."""
        found: dict[int, Grads] = {}
        for i in reversed(range(stop, len(self.layers))):
            with naming(i, self.layers[i]):
                dy, found[i] = blocks.backward(self.layers[i], _joined(i, dy, dtaps), caches[i], parts[i])
        return dy, found

    def _check_back(self, dy: Floats, cache: object, dtaps: Taps, into: Floats | None) -> list[Floats | None]:
        """Refuse gradients that lie elsewhere than the parameters, and those of no layer or of one inside a block.

        Returns each layer's part of `into`.
        """
        self._check_names(dtaps)
        blocks.check_taps(dtaps, self._own(cache))
        for gradient in (dy, *dtaps.values()):
            if self._vector.size and module_of(gradient) is not module_of(self.vector):
                raise DtypeError(
                    f"{self.in_one_line()}: dy is a {module_of(gradient).__name__} array, but the parameters are "
                    f"{module_of(self.vector).__name__} arrays; move it: dy = backend.put(dy)"
                )
        return [None] * len(self.layers) if into is None else list(self._cut(into))

    def _cut(self, into: Floats) -> Iterator[Floats]:
        """Yield each layer's part of a vector laid out as the chain's, or refuse one that is laid out otherwise."""
        self._check_bound()
        if into.shape != self._vector.shape:
            raise ShapeError(
                f"the gradients shall be in a vector of {into.shape}, but the parameters' has {self._vector.shape}"
            )
        check_alike(into, self._vector, "into", "the parameters' vector")
        start = 0
        for part in self._parts:
            yield into[start : start + part.size]
            start += part.size

    def _own(self, cache: object) -> ChainCache:
        """Return the layers' caches, or refuse those of a chain of another length."""
        caches = expect_cache(cache, ChainCache, self)
        if len(caches) != len(self.layers):
            raise DtypeError(
                f"{self.in_one_line()} got the cache of a chain of {len(caches)} layers, but has {len(self.layers)}"
            )
        return caches

    def _in_order(self, found: dict[int, Grads]) -> Grads:
        """Name the gradients as the parameters, in the order of the vector."""
        try:
            return {name: found[int(name.split(".")[0])][name.split(".", 1)[1]] for name in self.params}
        except (KeyError, TypeError) as error:
            for i, grads in found.items():
                with naming(i, self.layers[i]):
                    check_grads(self.layers[i], grads)
            raise ConfigError(f"{self.in_one_line()}: there is no gradient of {error}") from error

    def flat_gradient(self, grads: Grads) -> Floats:
        """Return the gradients as one vector, laid out as `vector`.

        Raises ConfigError where a layer has left it, and ShapeError where a gradient has not its parameter's shape.
        """
        self._check_bound()
        for name, value in self.params.items():
            if grads[name].shape != value.shape:
                raise ShapeError(
                    f"the gradient of {name} has shape {grads[name].shape}, but the parameter {value.shape}: "
                    f"mend the backward pass of layer {name.split('.')[0]}, {self._layer_of(name).in_one_line()}"
                )
        flat: Floats = module_of(self.vector).concatenate([grads[name].ravel() for name in self.params])
        return flat

    def _layer_of(self, name: str) -> Layer:
        """Return the chain's own layer that a dotted name belongs to."""
        return self.layers[int(name.split(".")[0])]

    def update_state(self, cache: object) -> None:
        for layer, own in zip(self.layers, self._own(cache), strict=True):
            if layer.state:
                layer.update_state(own)

    def state_dict(self) -> dict[str, Floats]:
        """Return parameters and state by name: what a weights file holds. The arrays are the model's own.

        Raises ConfigError where a layer has left the chain's vector.
        """
        self._check_bound()
        return {**self.params, **self.state}

    def load_state_dict(self, values: Mapping[str, Array]) -> None:
        """Copy parameters and state from arrays of the same names and shapes, of either backend, in place."""
        own = self.state_dict()
        missing, unknown = sorted(own.keys() - values.keys()), sorted(values.keys() - own.keys())
        if missing or unknown:
            raise ShapeError(
                f"the weights are of another model: missing {missing or 'none'}, unknown {unknown or 'none'}"
            )
        for name, value in values.items():
            if value.shape != own[name].shape:
                raise ShapeError(f"the weights are of another model: {name} is {value.shape}, not {own[name].shape}")
        for name, value in values.items():
            write(own[name], value, name)

    def with_layers(self, layers: Iterable[Layer]) -> Self:
        """Return a chain of this one's kind, of other layers: of a residual block a residual block."""
        twin = object.__new__(type(self))  # and not type(self)(...): a subclass may have a constructor of its own
        for name, value in self._attributes().items():
            object.__setattr__(twin, name, value)
        Sequential.__init__(twin, *layers)
        return twin

    def __getstate__(self) -> dict[str, object]:
        self._check_bound()
        self._check_attributes()
        return self._attributes()  # the layers bring their arrays along

    def __setstate__(self, found: Mapping[str, object]) -> None:
        for name in found.keys() - BINDING:
            object.__setattr__(self, name, found[name])
        self._join()

    def _convert(self, convert: Callable[[Floats], Floats]) -> None:
        for layer in self._layers:
            layer._convert(convert)
        self.bind(convert(self._vector))

    def config(self) -> Mapping[str, object]:
        return {"layers": [layer.description() for layer in self.layers]}

    def output_shape(self, shape: Shape) -> Shape:
        for i, layer in enumerate(self.layers):
            try:
                shape = tuple(layer.output_shape(shape))
            except MinikdError as error:
                raise type(error)(f"layer {i}: {error}") from error
        return shape

    def macs(self, shape: Shape) -> int:
        total = 0
        for layer in self.layers:
            total += layer.macs(shape)
            shape = layer.output_shape(shape)
        return total

    def in_one_line(self) -> str:
        return f"{type(self).__name__}({', '.join(layer.in_one_line() for layer in self.layers)})"

    def __repr__(self) -> str:
        dtype = f", {self._vector.dtype}" if self._vector.size else ""
        lines = [_listed(i, layer) for i, layer in enumerate(self.layers)]
        return "\n".join([f"{type(self).__name__} of {self.size:,} parameters{dtype}", *lines])


def _listed(number: int, layer: Layer) -> str:
    """Return the line, or the lines, of a chain's layer."""
    count = f"  {layer.size:,} parameters" if layer.size and not isinstance(layer, Sequential) else ""
    return textwrap.indent(f"({number}) {layer!r}{count}", "  ")


def _joined(i: int, dy: Floats, dtaps: Taps) -> Floats:
    """Return the gradient with respect to layer i's output, from the layers above and from its tap."""
    dtap = dtaps.get(str(i)) if dtaps else None
    if dtap is None:
        return dy
    check_upstream(dtap, dy.shape, dy.dtype, "the tap's gradient")
    return dy + dtap


@contextmanager
def naming(i: int, layer: Layer) -> Iterator[None]:
    """Say in every error from inside which layer of the chain it comes from."""
    try:
        yield
    except MinikdError as error:
        raise type(error)(f"layer {i}, {layer.in_one_line()}: {error}") from error
