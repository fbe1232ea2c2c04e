"""A layer's arrays by name, in a dictionary whose arrays cannot be replaced after the layer is in a chain.

A chain's vector has the parameters of all its layers. The layers' arrays are views of it, and the chain has them by
name too. If an array were replaced in one of these places, the forward pass would read one array and the optimiser
would change another, without an error. So an assignment copies the values into the existing array.
"""

from collections.abc import Mapping, MutableMapping
from itertools import pairwise

from minikd.backends import address_of, module_of, to_host
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.typing import Array, Floats


class Arrays(dict[str, Floats]):
    """Arrays by name: a dict, until they are `held`. From then on `arrays[name] = value` writes into the array.

    A copy or a pickle is an ordinary dict. Raises ConfigError if a name would be added or removed, and ShapeError and
    DtypeError for a value that does not fit the array.
    """

    held = False

    def __setitem__(self, name: str, value: Floats) -> None:
        if not self.held:
            super().__setitem__(name, value)
        elif name in self:
            copy_into(self[name], value, name)
        else:
            raise ConfigError(f"there is no {name!r} among {self._names()}, and {FIXED}")

    def __delitem__(self, name: str) -> None:
        if self.held:
            raise ConfigError(f"{name!r} cannot be taken out: {FIXED}")
        super().__delitem__(name)

    def __reduce__(self) -> tuple[type[dict[str, Floats]], tuple[dict[str, Floats]]]:
        return dict, (dict(self),)

    def write_all(self, arrays: Mapping[str, Floats]) -> None:
        """Write into every array, by name."""
        if arrays.keys() != self.keys():
            raise ConfigError(f"{', '.join(arrays) or 'nothing'} cannot take the place of {self._names()}: {FIXED}")
        self.update(arrays)

    def exchange(self, arrays: Mapping[str, Floats]) -> None:
        """Replace the arrays. Only the layer may do this, because it knows where they are used."""
        dict.clear(self)
        dict.update(self, arrays)

    def _names(self) -> str:
        return ", ".join(self) or "none"


def _update(self: Arrays, other: Mapping[str, Floats]) -> Arrays:
    """Return the arrays after `arrays |= other`."""
    self.update(other)
    return self


# A dict's own methods would not call the methods above; those of an abstract mapping do.
THROUGH = {name: vars(MutableMapping)[name] for name in ("update", "setdefault", "pop", "popitem", "clear")}
for name, way in {**THROUGH, "__ior__": _update}.items():
    setattr(Arrays, name, way)

FIXED = "a layer in a chain keeps its arrays, as the chain's vector holds them; make a new layer and a new chain"


def copy_into(own: Floats, value: Array, name: str) -> None:
    """Copy values into an array, from either backend.

    If they are the same array, as after `a[name] *= 2`, do nothing.
    """
    if value is own:
        return
    if module_of(value) is not module_of(own):
        value = module_of(own).asarray(to_host(value))
    value = module_of(own).asarray(value)
    if value.shape != own.shape:
        raise ShapeError(f"{name} is {own.shape}, but was given values of shape {value.shape}")
    if value.dtype.kind not in "fiub":
        raise DtypeError(f"{name} is {own.dtype}, but was given {value.dtype}, which is not a type of numbers")
    own[...] = value


def overlap(one: object, other: Floats) -> bool:
    """True if `one` is an array that may have the same memory."""
    xp = module_of(other)
    return isinstance(one, xp.ndarray) and bool(xp.may_share_memory(one, other))


def check_apart(arrays: Mapping[str, Floats]) -> None:
    """Refuse two arrays with the same memory, such as an array and its transpose: copies would not share it."""
    every = sorted((module_of(value).__name__, *extent(value), name) for name, value in arrays.items() if value.size)
    for (where, _, end, name), (there, start, _, other) in pairwise(every):
        if where == there and start < end:
            first, second = sorted((name, other))
            raise ConfigError(
                f"{first} and {second} share memory, which a chain or a copy would split in two; copy one of them, "
                "or let one layer use it twice"
            )


def extent(array: Floats) -> tuple[int, int]:
    """Return the address of an array's first byte, and the address after its last byte."""
    steps = [(length - 1) * stride for length, stride in zip(array.shape, array.strides, strict=True)]
    begin = address_of(array) + sum(step for step in steps if step < 0)
    return begin, begin + sum(map(abs, steps)) + array.itemsize
