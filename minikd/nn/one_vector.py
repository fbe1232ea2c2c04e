"""One vector for the parameters of several layers, with the names and the order of the parameters.

Each layer's arrays are views of the vector. So an optimiser is one loop over one array, a checkpoint writes one array,
and a gradient check needs one random direction.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from minikd.backends import module_of
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.memory import require
from minikd.nn.arrays import Arrays, check_apart, copy_into
from minikd.nn.layer import BINDING, Grads, Layer
from minikd.typing import FLOATS, Array, Floats


class OneVector(Layer):
    """Layers whose parameters are in one `vector`. In `params` and `state`, their names are "0.weight", "0.bias", ...

    A layer's arrays become views of the vector, so a layer can belong to only one vector. An assignment to `vector`, to
    `params` or to a layer's `params` writes into this memory. Every copy, also one by pickle, has a separate vector,
    and trains like the original.
    """

    _parts: list[Floats]

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        check_layers(layers)
        self._layers = layers
        self.across_batch = any(layer.across_batch for layer in layers)
        self._join()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, first to last."""
        return self._layers

    @layers.setter
    def layers(self, layers: Sequence[Layer]) -> None:
        raise ConfigError(
            "the layers of a chain cannot be exchanged, because its vector holds their parameters; make a new chain"
        )

    @property
    def vector(self) -> Floats:
        """All parameters of the chain, (P,). An assignment writes the values into it."""
        return self._vector

    @vector.setter
    def vector(self, values: Floats) -> None:
        copy_into(self._vector, values, "vector")

    def _bind_views(self, vector: Floats) -> None:
        self._parts, start = [], 0
        for layer in self._layers:
            part = vector[start : start + layer.size]
            layer._bind_views(part)
            self._parts.append(part)
            start += layer.size
        self._vector = vector
        self._params.exchange(named_by_layer(self._layers, "params"))
        self._state.exchange(named_by_layer(self._layers, "state"))
        self._params.held = self._state.held = True

    def _join(self) -> None:
        """Put the layers' parameters into one vector, and make the names of parameters and state."""
        params, state = named_by_layer(self._layers, "params"), named_by_layer(self._layers, "state")
        vector = joined_parameters(params)
        check_apart({**params, **state})
        for layer in self._layers:
            layer.chained = layer.state.held = True
        self._params, self._state = Arrays(params), Arrays(state)
        self.bind(vector)

    def _each_layer(self) -> Iterator[Layer]:
        yield self
        for layer in self._layers:
            yield from layer._each_layer()

    def _check_bound(self) -> None:
        """Raise an error if a layer's parameters are no longer a part of the vector."""
        for i, (layer, part) in enumerate(zip(self._layers, self._parts, strict=True)):
            if not layer.bound_to(part):
                raise ConfigError(
                    f"the parameters of layer {i}, {layer.in_one_line()}, are in another vector than the chain's, so "
                    "the chain would neither train nor save them; give the other a copy: layer.copy(), and copy a "
                    "chain by "
                    "model.copy(), copy.deepcopy(model) or pickle"
                )
            if isinstance(layer, OneVector):
                layer._check_bound()

    def flat_gradient(self, grads: Grads) -> Floats:
        """Return the gradients as one vector, in the order of `vector`.

        Raises ConfigError if a layer has left it, and ShapeError if a gradient has another shape than its parameter.
        """
        self._check_bound()
        for name, value in self.params.items():
            if grads[name].shape != value.shape:
                raise ShapeError(
                    f"the gradient of {name} has shape {grads[name].shape}, but the parameter {value.shape}: correct "
                    f"the backward pass of layer {name.split('.')[0]}, {self._layer_of(name).in_one_line()}"
                )
        flat: Floats = module_of(self.vector).concatenate([grads[name].ravel() for name in self.params])
        return flat

    def _layer_of(self, name: str) -> Layer:
        """Return the chain's layer to which a dotted name belongs."""
        return self.layers[int(name.split(".")[0])]

    def state_dict(self) -> dict[str, Floats]:
        """Return parameters and state by name, as a weights file has them. The arrays are not copies.

        Raises ConfigError if a layer has left the chain's vector.
        """
        self._check_bound()
        return {**self.params, **self.state}

    def load_state_dict(self, values: Mapping[str, Array]) -> None:
        """Copy parameters and state in place, from arrays with the same names and shapes, of either backend."""
        own = self.state_dict()
        missing, unknown = sorted(own.keys() - values.keys()), sorted(values.keys() - own.keys())
        if missing or unknown:
            raise ShapeError(
                f"the weights belong to another model: missing {missing or 'none'}, unknown {unknown or 'none'}"
            )
        for name, value in values.items():
            if value.shape != own[name].shape:
                raise ShapeError(f"the weights belong to another model: {name} is {value.shape}, not {own[name].shape}")
        for name, value in values.items():
            copy_into(own[name], value, name)

    def __getstate__(self) -> dict[str, object]:
        self._check_bound()
        self._check_attributes()
        return self._attributes()  # the layers have their own arrays

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

    def in_one_line(self) -> str:
        return f"{type(self).__name__}({', '.join(layer.in_one_line() for layer in self.layers)})"

    def __repr__(self) -> str:
        dtype = f", {self._vector.dtype}" if self._vector.size else ""
        lines = [_listed(i, layer) for i, layer in enumerate(self.layers)]
        return "\n".join([f"{type(self).__name__} of {self.size:,} parameters{dtype}", *lines])


def _listed(number: int, layer: Layer) -> str:
    """Return the lines of text for a layer of the chain."""
    count = f"  {layer.size:,} parameters" if layer.size and not isinstance(layer, OneVector) else ""
    return textwrap.indent(f"({number}) {layer!r}{count}", "  ")


def check_layers(layers: Sequence[Layer]) -> None:
    """Refuse what cannot be in a new chain: what is not a layer, a layer of another chain or twice, a class."""
    seen: set[int] = set()
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ConfigError(f"Sequential's argument {i} is {layer!r}, but must be a layer such as ReLU()")
        if layer.chained or id(layer) in seen:
            raise ConfigError(
                f"Sequential's argument {i}, {layer.in_one_line()}, is in a chain already, which would lose its "
                "weights; make a second layer, or give a copy: layer.copy()"
            )
        if not all(isinstance(vars(layer).get(name), Arrays) for name in ("_params", "_state")):
            raise ConfigError(
                f"Sequential's argument {i} is a {type(layer).__name__} that has not made its params and state; call "
                "super().__init__() in its constructor, and fill the two"
            )
        seen.add(id(layer))


def named_by_layer(layers: Sequence[Layer], what: Literal["params", "state"]) -> dict[str, Floats]:
    """Return the parameters of all layers, or their state, with the chain's names."""
    return {f"{i}.{name}": value for i, layer in enumerate(layers) for name, value in getattr(layer, what).items()}


def joined_parameters(params: Mapping[str, Floats]) -> Floats:
    """Return a new vector of the parameters one after the other, or refuse parameters that cannot share a vector."""
    if not params:
        return np.zeros(0, np.float32)
    first = next(iter(params.values()))
    xp = module_of(first)
    for name, value in params.items():
        found = value.dtype if type(value) in (xp.ndarray, np.memmap) else type(value).__name__
        if found not in FLOATS:
            raise DtypeError(f"parameter {name} is {found}, but must be float32 or float64; use astype('float32')")
        if found != first.dtype or module_of(value) is not xp:
            raise DtypeError(
                f"parameter {name} is {found} of {module_of(value).__name__}, but the first of the chain is "
                f"{first.dtype} of {xp.__name__}, and all lie in one vector; use layer.astype(...), layer.to(backend)"
            )
    if xp is np:
        require(
            sum(value.nbytes for value in params.values()), "one vector of all parameters", "make the model smaller"
        )
    flat: Floats = xp.concatenate([value.ravel() for value in params.values()])
    return flat
