"""The base of all layers: parameters, a forward pass that returns a cache, and a backward pass that gets the cache.

The mathematics is in pure functions in each layer's file (`linear`, `linear_backward`, ...). A layer object only holds
the parameters and calls these functions. It does not store the cache: `forward` returns it, and `backward` gets it. So
no old state can be used by mistake, two threads can use a layer at the same time, and a lesson can print the cache.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Self, TypeVar

import numpy as np

from minikd.backends import Backend, module_of
from minikd.checks import check_alike, check_float
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.nn.arrays import Arrays, check_apart, overlap
from minikd.nn.returned import pair_of
from minikd.typing import FLOATS, Floats, Shape

Grads = dict[str, Floats]
"""The gradient of each parameter, by the parameter's name."""

CacheT = TypeVar("CacheT")

ATOMS = (str, bytes, int, float, complex, type(None), type, ModuleType, FunctionType)
"""Types of values without arrays, or without arrays that belong to a layer."""

BINDING = frozenset({"_params", "_state", "_vector", "_parts", "_rows", "chained"})
"""The attributes that depend on where a layer's arrays are. A copy has others."""


KINDS: dict[str, type["Layer"]] = {}
"""Every layer class by its `kind_name`. A user's class is here when its module is imported."""


def kind_name(kind: type["Layer"]) -> str:
    """Return a class's name in weights files: "Linear" for a layer of minikd, "my_layers:Swish" for a user's layer."""
    own = kind.__module__.startswith("minikd.nn.")
    return kind.__qualname__ if own else f"{kind.__module__}:{kind.__qualname__}"


class Layer:
    """The base of every layer. It shows what a user's layer must have.

    A subclass registers itself, so that a model with it can be saved and loaded. For this, its `config` must return the
    constructor's arguments. If two classes have the same module and name, the later one counts. This happens if a
    notebook's cell is run again.

    `params` are trained. The optimiser changes them in place, so do not keep one in another attribute. `state` is what
    training computes without a gradient, such as running statistics. Both map a name to an array. Arrays are float32
    unless `astype` changes this. The constructor fills both. When the layer is in a chain, an assignment copies the
    values into the existing array, see `Arrays`.

    `copy.copy`, `copy.deepcopy` and pickle do the same as `copy`: they give a layer with the same values that shares no
    array with this one and is in no chain.
    """

    _params: Arrays
    _state: Arrays
    _vector: Floats
    across_batch = False
    """True if an output depends on other samples of the batch. Then a batch must not be divided into shards."""
    short_name = "layer"
    """The name of this class inside a chain, in lower case: the "relu" of "relu_2"."""
    chained = False
    """True if the layer is in a chain, whose vector has its parameters. It cannot be in a second chain."""

    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        KINDS[kind_name(cls)] = cls
        cls.short_name = vars(cls).get("short_name", cls.__name__.lower())

    def __init__(self) -> None:
        self.params = {}
        self.state = {}

    def forward(
        self, x: Floats, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, object]:
        """Return the output, and the cache for `backward`. `x` is not changed."""
        raise NotImplementedError(f"{type(self).__name__} has no forward pass")

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        """Return the gradients with respect to the input and each parameter, from the gradient `dy` of the output."""
        raise NotImplementedError(f"{type(self).__name__} has no backward pass")

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        """Return only the gradients with respect to the parameters. A first layer needs no gradient of its input.

        A layer overrides this method if work is saved without the input's gradient.
        """
        return pair_of(self, "backward", self.backward(dy, cache))[1]

    def update_state(self, cache: object) -> None:
        """Update `state` after a training step, from the cache of the step."""

    def config(self) -> Mapping[str, object]:
        """Return the constructor's arguments without the generator, for the weights file.

        They are numbers, strings, True, False, None, and lists or tuples of these.
        """
        return {}

    def description(self) -> dict[str, object]:
        """Return the layer's class and its `config`. `build.build` makes a layer from them."""
        return {"layer": kind_name(type(self)), **self.config()}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of an output sample from the shape of an input sample, (C, H, W) or (features,)."""
        return shape

    def macs(self, shape: Shape) -> int:
        """Return the multiply-adds of one sample of this shape, without elementwise operations."""
        return 0

    @property
    def size(self) -> int:
        """The number of trained values."""
        return sum(value.size for value in self.params.values())

    @property
    def params(self) -> Arrays:
        """The trained arrays by name."""
        return self._params

    @params.setter
    def params(self, arrays: Mapping[str, Floats]) -> None:
        if "_params" in vars(self) and self._params.held:
            self._params.write_all(arrays)
        else:
            self._params = Arrays(arrays)

    @property
    def state(self) -> Arrays:
        """The arrays that training computes without a gradient, by name."""
        return self._state

    @state.setter
    def state(self, arrays: Mapping[str, Floats]) -> None:
        if "_state" in vars(self) and self._state.held:
            self._state.write_all(arrays)
        else:
            self._state = Arrays(arrays)

    def bind(self, vector: Floats) -> None:
        """Make each parameter a view of `vector`, which has their values one after the other."""
        if vector.shape != (self.size,):
            raise ShapeError(
                f"{self.in_one_line()} has {self.size} parameters, but is to lie in a vector {vector.shape}"
            )
        self._check_attributes()
        check_apart({**self.params, **self.state})
        self._bind_views(vector)

    def _bind_views(self, vector: Floats) -> None:
        """Make each parameter a view of `vector`, which has been checked."""
        views, start = {}, 0
        for name, value in self.params.items():
            views[name] = vector[start : start + value.size].reshape(value.shape)
            start += value.size
        self._params.exchange(views)
        self._params.held, self._vector = True, vector

    def bound_to(self, vector: Floats) -> bool:
        """Return whether the parameters are still views of this vector."""
        return self.__dict__.get("_vector") is vector

    def converted(self, convert: Callable[[Floats], Floats]) -> Self:
        """Return a copy of this layer with `convert` applied to parameters and state."""
        twin = copy.deepcopy(self)
        twin._convert(convert)
        return twin

    def copy(self) -> Self:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def astype(self, dtype: str) -> Self:
        """Return a copy in "float32" or "float64". Counters stay integers. Raises DtypeError for other dtypes."""
        try:
            known = np.dtype(dtype) in FLOATS
        except TypeError:  # not a name of a NumPy dtype
            known = False
        if not known:
            raise DtypeError(f"a layer cannot be converted to {dtype!r}; use 'float32' or 'float64'")
        return self.converted(lambda value: value.astype(dtype) if value.dtype.kind == "f" else value)

    def to(self, backend: Backend) -> Self:
        """Return a copy with its arrays on `backend`'s device."""
        return self.converted(backend.put)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, object]:
        self._check_attributes()
        check_apart({**self.params, **self.state})
        return {**self._attributes(), "params": dict(self.params), "state": dict(self.state)}

    def __setstate__(self, found: Mapping[str, object]) -> None:
        rest = dict(found)
        params, state = rest.pop("params"), rest.pop("state")
        assert isinstance(params, dict)
        assert isinstance(state, dict)
        for name, value in rest.items():
            object.__setattr__(self, name, value)  # also for slots, and for a class that refuses assignments
        self.params = {name: _owned(value) for name, value in params.items()}
        self.state = {name: _owned(value) for name, value in state.items()}

    def _attributes(self) -> dict[str, object]:
        """Return the attributes, also those in slots, that do not depend on where the arrays are."""
        slots = [name for kind in type(self).__mro__ for name in vars(kind).get("__slots__", ())]
        every = {**{name: getattr(self, name) for name in slots if hasattr(self, name)}, **vars(self)}
        return {name: value for name, value in every.items() if name not in BINDING}

    def _convert(self, convert: Callable[[Floats], Floats]) -> None:
        """Apply `convert` to parameters and state."""
        for arrays in (self._params, self._state):
            arrays.exchange({name: convert(value) for name, value in arrays.items()})

    def _each_layer(self) -> Iterator["Layer"]:
        """Yield this layer, and those inside it if it is a chain."""
        yield self

    def _check_attributes(self) -> None:
        """Refuse arrays that are also in an attribute: after binding or copying, the layer would have two of each."""
        own = {**self.params, **self.state}
        layers = [*self._each_layer()] if own else []
        seen = {*map(id, layers)}
        for layer in layers:
            for attribute, held in layer._attributes().items():
                for one in _arrays_in(held, seen):
                    for name in (name for name, value in own.items() if overlap(one, value)):
                        raise ConfigError(
                            f"{layer.in_one_line()} holds its array {name!r} in the attribute {attribute!r} too, "
                            "which a chain or a copy would not update; read it from params or state, or let a "
                            "layer that holds layers derive from Sequential"
                        )

    def in_one_line(self) -> str:
        """Return the layer with all its settings. They are a part of a training's identity, see `renamed.as_before`."""
        if type(self).__repr__ is not Layer.__repr__:  # a user's layer
            return repr(self)
        return _call(self, self.config())

    def __repr__(self) -> str:
        return _call(self, _settings_given(self))


def _call(layer: Layer, settings: Mapping[str, object]) -> str:
    """Return the layer as a call of its constructor."""
    return f"{type(layer).__name__}({', '.join(f'{name}={value}' for name, value in settings.items())})"


def _settings_given(layer: Layer) -> dict[str, object]:
    """Return the settings that differ from the constructor's defaults. A setting for two axes that is 1 is (1, 1)."""
    usual = {name: one.default for name, one in inspect.signature(type(layer)).parameters.items()}
    return {
        name: value for name, value in layer.config().items() if value not in (usual.get(name), (usual.get(name),) * 2)
    }


def _owned(value: Floats) -> Floats:
    """Return a plain copy. An unpickled array may be read-only, in a file, or in memory shared with its sender."""
    copied: Floats = module_of(value).array(value, order="K")
    return copied


def _arrays_in(held: object, seen: set[int]) -> Iterator[object]:
    """Yield the arrays of an attribute, also those in a list, a dict or an object, without those `seen` before."""
    waiting = [held]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, ATOMS):
            continue
        seen.add(id(one))
        if isinstance(one, module_of(one).ndarray):
            yield one
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        else:
            waiting += (one if isinstance(one, dict) else getattr(one, "__dict__", {})).values()


def expect_cache(cache: object, kind: type[CacheT], layer: Layer) -> CacheT:
    """Return `cache` with its type, or raise an error that says which layer got the cache of which other layer."""
    if not isinstance(cache, kind):
        raise DtypeError(
            f"{layer.in_one_line()}.backward got a {type(cache).__name__}, but needs the {kind.__name__} "
            "that its own forward returned"
        )
    return cache


def named_gradients(layer: Layer, dw: Floats, db: Floats) -> Grads:
    """Return the gradients of a weight and a bias by name. If the layer has no bias, db is left out."""
    return {"weight": dw, "bias": db} if "bias" in layer.params else {"weight": dw}


def check_input(x: Floats, w: Floats, where: str) -> None:
    """Refuse an input that does not fit the parameter `w`: on another device, or of another dtype."""
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
    check_float(x, f"{where}: x")


def check_parameters(x: Floats, w: Floats, b: Floats | None, rank: int, where: str) -> None:
    """Refuse a weight w (O, ...) of another rank, a bias that is not (O,), and different dtypes or devices."""
    check_input(x, w, where)
    if w.ndim != rank or 0 in w.shape:
        raise ShapeError(f"{where}: w has shape {w.shape}, but must have {rank} axes, none of length 0")
    if b is None:
        return
    if b.shape != w.shape[:1]:
        raise ShapeError(f"{where}: b has shape {b.shape}, but must be ({len(w)},) for w of shape {w.shape}")
    check_alike(w, b, f"{where}: w", "b")


def check_upstream(dy: Floats, shape: Shape, dtype: np.dtype[np.floating], where: str) -> None:
    """Refuse an upstream gradient whose shape or dtype is not that of the output."""
    if dy.shape != shape:
        raise ShapeError(f"{where}: dy has shape {dy.shape}, but the output had shape {shape}")
    if dy.dtype != dtype:
        raise DtypeError(f"{where}: dy is {dy.dtype}, but the output was {dtype}; use dy.astype({str(dtype)!r})")
