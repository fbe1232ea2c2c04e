"""A stand-in for another array library: arrays of NumPy whose numbers NumPy's functions cannot read.

Without a GPU, it answers one question: does a function find the library of the arrays that it gets? Inside
`elsewhere()`, the stand-in replaces CuPy, so `minikd.backends.module_of` finds it. It counts a device's work. It is
not a GPU: it has no memory or speed of its own, and the kernels of `minikd.backends.cuda` do not run on it. In one case
it is stricter than CuPy: CuPy accepts `np.exp(x)` and runs its own exp, but the stand-in refuses it.
"""

import operator
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np

from minikd.typing import Array

BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
OTHERS = ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert")
VIEWS = ("reshape", "transpose", "ravel", "squeeze", "swapaxes", "T", "real")
"""Operations that only give another view of the same numbers, which is no work for a device."""

KERNELS = "minikd.backends.cuda"

ArrayFunction = Callable[..., object]


class Elsewhere:
    """An array of the other library. Results computed from it are also arrays of that library."""

    def __init__(self, held: Array | np.generic, calls: Counter[str]) -> None:
        self._held, self._calls = np.asarray(held), calls

    def __array__(self, *_: object, **__: object) -> Array:
        raise TypeError("NumPy cannot read an array of another library: copy it with to_host(x), or stay there with xp")

    def __array_ufunc__(self, ufunc: np.ufunc, _: str, *inputs: object, **named: object) -> object:
        if isinstance(inputs[0], np.generic):  # a NumPy scalar left of an operator; CuPy accepts it too
            return counted_call(ufunc, ufunc.__name__, self._calls)(*inputs, **named)
        host_values([one for one in inputs if isinstance(one, np.ndarray)])
        raise TypeError(refusal(ufunc.__name__))

    def __array_function__(self, function: ArrayFunction, *_: object) -> object:
        raise TypeError(refusal(function.__name__))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # NumPy could read the numbers through some of these
            raise AttributeError(f"an array of another library has no {name}")
        found: object = getattr(self._held, name)
        return counted_call(found, name, self._calls) if callable(found) else as_other_array(found, self._calls)

    def __getitem__(self, index: object) -> object:
        return counted_call(self._held.__getitem__, "getitem", self._calls)(index)

    def __setitem__(self, index: object, value: object) -> None:
        counted_call(self._held.__setitem__, "setitem", self._calls)(index, value)

    def __len__(self) -> int:
        return len(self._held)

    def __float__(self) -> float:
        self._calls["copy to the host"] += 1
        return float(self._held)

    def __bool__(self) -> bool:
        self._calls["copy to the host"] += 1
        return bool(self._held)


def refusal(name: str) -> str:
    """Return the message for a call of np.name."""
    return f"np.{name} was called on an array of another library: call xp.{name}, with xp = module_of(x)"


def operate(name: str, inplace: bool = False) -> ArrayFunction:
    """Return the method of an operator, such as __add__."""
    work: ArrayFunction = getattr(operator, name)

    def method(self: Elsewhere, *others: object) -> object:
        result = counted_call(work, name.strip("_"), self._calls)(self, *others)
        return self if inplace else result

    return method


def reflect(name: str) -> ArrayFunction:
    """Return the method of an operator whose left side is not such an array, for example __radd__."""
    work: ArrayFunction = getattr(operator, name)

    def method(self: Elsewhere, other: object) -> object:
        return counted_call(work, name.strip("_"), self._calls)(other, self)

    return method


for _name in BINARY + OTHERS:
    setattr(Elsewhere, f"__{_name}__", operate(f"__{_name}__"))
for _name in BINARY:
    setattr(Elsewhere, f"__r{_name}__", reflect(f"__{_name}__"))
    setattr(Elsewhere, f"__i{_name}__", operate(f"__i{_name}__", inplace=True))


class Library(ModuleType):
    """The other library: NumPy's functions, but only for its own arrays. `calls` counts the calls by name."""

    ndarray = Elsewhere

    def __init__(self) -> None:
        super().__init__("elsewhere")
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> object:
        found: object = getattr(np, name)
        return counted_call(found, name, self.calls) if callable(found) and not isinstance(found, type) else found

    def asarray(self, a: object, dtype: type[np.generic] | None = None) -> Elsewhere:
        """Return `a` as an array of this library. An array of the host is copied."""
        if isinstance(a, Elsewhere):
            return a
        self.calls["copy to the device"] += 1
        return Elsewhere(np.array(a, dtype), self.calls)

    def asnumpy(self, a: object) -> Array:
        """Return `a` on the host."""
        if not isinstance(a, Elsewhere):
            return np.asarray(a)
        self.calls["copy to the host"] += 1
        return a._held.copy()


def counted_call(work: ArrayFunction, name: str, calls: Counter[str]) -> ArrayFunction:
    """Return `work` for arrays of the other library. It counts its calls and refuses arrays of the host."""

    def call(*arguments: object, **named: object) -> object:
        taken = [host_values(one) for one in arguments]
        calls[name] += name not in VIEWS
        return as_other_array(work(*taken, **{key: host_values(one) for key, one in named.items()}), calls)

    return call


def host_values(argument: object) -> object:
    """Return an argument with NumPy's arrays instead of Elsewhere. Raises TypeError for an array of the host."""
    if isinstance(argument, Elsewhere):
        return argument._held
    if isinstance(argument, np.ndarray):
        raise TypeError(
            f"an array of the host {argument.shape} was used with one of another library: create it there, with "
            "xp = module_of(x)"
        )
    if isinstance(argument, list | tuple):
        return type(argument)(host_values(one) for one in argument)
    return argument


def as_other_array(result: object, calls: Counter[str]) -> object:
    """Return a result as an array of the other library, also a number. Other objects are returned unchanged."""
    return Elsewhere(result, calls) if isinstance(result, np.ndarray | np.generic) else result


@contextmanager
def elsewhere() -> Iterator[Library]:
    """Replace CuPy by the stand-in, and the kernels by plain lines, and yield the stand-in."""
    library = Library()
    places: dict[str, ModuleType] = {"cupy": library, KERNELS: plain_kernels()}
    before = {name: sys.modules.get(name) for name in places}
    sys.modules.update(places)
    try:
        yield library
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def plain_kernels() -> ModuleType:
    """Return the functions of a device's kernels that a dense layer needs, in plain lines."""
    kernels = ModuleType(KERNELS)
    vars(kernels).update(product=lambda a, b, out=None: a @ b, column_sums=lambda g: g.sum(0))
    return kernels
