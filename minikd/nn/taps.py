"""Taps: outputs of layers inside a chain, returned in addition to the chain's output, and their gradients.

A layer inside a chain is named by its number, such as "5" in "5.weight", or by its kind and position: "relu_2" is the
second ReLU from the input.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from minikd.errors import ConfigError
from minikd.nn.layer import Layer, check_upstream
from minikd.typing import Floats

Taps = Mapping[str, Floats]
"""Outputs of a chain's layers, or gradients with respect to them, by the layers' numbers or names."""

NO_TAPS: Taps = {}


def names(layers: Sequence[Layer]) -> dict[str, str]:
    """Return the name of each layer and its number: "relu_2" may be layer "5"."""
    found, count = {}, Counter[str]()
    for i, layer in enumerate(layers):
        count[layer.short_name] += 1
        found[f"{layer.short_name}_{count[layer.short_name]}"] = str(i)
    return found


def layer_list(layers: Sequence[Layer]) -> str:
    """Return the layers of a chain as an error lists them: "0 linear_1, 1 relu_1"."""
    return ", ".join(f"{number} {name}" for name, number in names(layers).items()) or "none"


def numbers_of(asked: Collection[str], layers: Sequence[Layer]) -> dict[str, str]:
    """Return the numbers of layers given by name or number. Raises ConfigError for an unknown layer."""
    known = names(layers) if asked else {}
    numbers = {*known.values()}
    found = {name: known.get(str(name).lower(), name) for name in asked}
    for name, number in found.items():
        if number not in numbers:
            raise ConfigError(f"there is no layer {name!r} to tap; the chain's layers are {layer_list(layers)}")
    return found


def by_number(dtaps: Taps, layers: Sequence[Layer]) -> Taps:
    """Return gradients with respect to layers' outputs by the layers' numbers. Raises ConfigError."""
    found: dict[str, Floats] = {}
    for name, number in numbers_of(dtaps, layers).items():
        found[number] = found[number] + dtaps[name] if number in found else dtaps[name]
    return found


def with_tap(i: int, dy: Floats, dtaps: Taps) -> Floats:
    """Return the gradient with respect to layer i's output, from the layers above and from its tap."""
    dtap = dtaps.get(str(i)) if dtaps else None
    if dtap is None:
        return dy
    check_upstream(dtap, dy.shape, dy.dtype, "the tap's gradient")
    return dy + dtap
