"""One vector for the parameters of all layers of a chain: which layers may share it, their names, their order."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from minikd.backends import module_of
from minikd.errors import ConfigError, DtypeError
from minikd.memory import require
from minikd.nn.arrays import Arrays
from minikd.nn.layer import Layer
from minikd.typing import FLOATS, Floats


def check_layers(layers: Sequence[Layer]) -> None:
    """Refuse what cannot be a link of a new chain: no layer, one of another chain or twice, one that is not made."""
    seen: set[int] = set()
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ConfigError(f"Sequential's argument {i} is {layer!r}, but must be a layer such as ReLU()")
        if layer.chained or id(layer) in seen:
            raise ConfigError(
                f"Sequential's argument {i}, {layer.in_one_line()}, stands in a chain already, which would lose its "
                "weights; make a second layer, or give a copy: layer.copy()"
            )
        if not all(isinstance(vars(layer).get(name), Arrays) for name in ("_params", "_state")):
            raise ConfigError(
                f"Sequential's argument {i} is a {type(layer).__name__} that has not made its params and state; call "
                "super().__init__() in its constructor, and fill the two"
            )
        seen.add(id(layer))


def named_by_layer(layers: Sequence[Layer], what: Literal["params", "state"]) -> dict[str, Floats]:
    """Return the parameters of all layers, or their state, as a chain names them."""
    return {f"{i}.{name}": value for i, layer in enumerate(layers) for name, value in getattr(layer, what).items()}


def in_a_row(params: Mapping[str, Floats]) -> Floats:
    """Return parameters one after the other in a new vector, or refuse those that cannot share one."""
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
