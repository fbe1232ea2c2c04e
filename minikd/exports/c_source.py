"""Builds a C file: constant arrays, the functions that it needs, the calls in minikd_predict, and their buffers.

The functions are plain C in `c_parts/`, one in each file. A file is copied if the network needs it.
"""

import math
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from string import Template
from typing import NamedTuple

import numpy as np

from minikd.typing import Array, HeightWidth, Shape

TYPES = {"float32": "float", "int32": "int32_t", "int8": "int8_t", "uint8": "uint8_t"}

HASHES = {
    "float": "word.number = {name}[i], hash = hashed_word(hash, word.bits)",
    "int32_t": "hash = hashed_word(hash, (uint32_t){name}[i])",
    "int8_t": "hash = hashed(hash, (uint8_t){name}[i])",
    "uint8_t": "hash = hashed(hash, {name}[i])",
}
"""How a value of each type is added to the hash."""

WIDTH = 110
"""The width of an array's lines."""

LOGITS = "logits"
"""The caller's array for the output."""


class WindowMoves(NamedTuple):
    """Windows on an image: the shapes (C, H, W) of input and output, the kernel, stride and padding."""

    before: Shape
    after: Shape
    kernel: HeightWidth
    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth = (1, 1)
    groups: int = 1


class Value(NamedTuple):
    """An array of the C file, and the shape of its contents."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Source:
    """The file so far. element: the type of an activation, "float" or "uint8_t"."""

    def __init__(self, element: str) -> None:
        self.element = element
        self.parts: dict[str, None] = {}
        self.arrays: dict[str, Array] = {}
        self.windows: dict[str, str] = {}
        self.calls: list[str] = []
        self.buffers: list[int] = []
        self._free: set[int] = set()
        self._held: Counter[str] = Counter()

    def use(self, *parts: str) -> None:
        """Copy these files of `c_parts/`, each once, in the order of the first requests."""
        self.parts.update(dict.fromkeys(parts))

    def array(self, name: str, values: Array) -> str:
        """Add a constant array, and return its name."""
        self.arrays[name] = np.asarray(values, order="C").ravel()
        return name

    def moves(self, name: str, windows: WindowMoves) -> str:
        """Add windows, and return a C expression for a pointer to them."""
        self.use("windows")
        pairs = (windows.kernel, windows.stride, windows.padding, windows.dilation)
        values = [*windows.before, *windows.after, *(f"{{{a}, {b}}}" for a, b in pairs), windows.groups]
        self.windows[name] = ", ".join(map(str, values))
        return f"&{name}"

    def call(self, function: str, *arguments: object) -> None:
        """Call a function in minikd_predict."""
        self.calls.append(f"{function}({', '.join(map(str, arguments))});")

    def take(self, size: int) -> str:
        """Return the name of a buffer of this size: the smallest free one that fits, else the largest, made larger."""
        fitting = [i for i in self._free if self.buffers[i] >= size]
        if fitting:
            chosen = min(fitting, key=self.buffers.__getitem__)
        elif self._free:
            chosen = max(self._free, key=self.buffers.__getitem__)
            self.buffers[chosen] = size
        else:
            chosen = len(self.buffers)
            self.buffers.append(size)
        self._free.discard(chosen)
        return f"buffer_{chosen}"

    def in_place(self, x: str, size: int) -> str:
        """Return x if it may be overwritten. If x is needed later, or is the caller's, return another buffer."""
        return x if x.startswith("buffer_") and not self._held[x] else self.take(size)

    def hold(self, x: str) -> None:
        """Keep x until `let_go` is called as often as `hold`."""
        self._held[x] += 1

    def let_go(self, x: str) -> None:
        """Undo one `hold` of x."""
        self._held[x] -= 1

    def release(self, x: str) -> None:
        """Free a buffer, unless it is still held."""
        if x.startswith("buffer_") and not self._held[x]:
            self._free.add(int(x.removeprefix("buffer_")))

    @property
    def working_bytes(self) -> int:
        """The bytes of all buffers."""
        return sum(self.buffers) * (4 if self.element == "float" else 1)

    @property
    def constant_bytes(self) -> int:
        """The bytes of all constant arrays."""
        return sum(values.nbytes for values in self.arrays.values())

    @property
    def hash(self) -> int:
        """The CRC-32 of all arrays, with the lowest byte of each value first."""
        total = 0
        for values in self.arrays.values():
            total = zlib.crc32(values.astype(values.dtype.newbyteorder("<")).tobytes(), total)
        return total

    def constants(self) -> str:
        """Return the definitions of the arrays and windows in C."""
        texts = [array_definition(name, values) for name, values in self.arrays.items()]
        texts += [
            f"static const MINIKD_FLASH struct windows {name} = {{{value}}};\n" for name, value in self.windows.items()
        ]
        return "\n".join(texts)

    def declared_buffers(self) -> list[str]:
        """Return the buffers' declarations."""
        return [f"{self.element} buffer_{i}[{size}];" for i, size in enumerate(self.buffers)]

    def hash_loops(self) -> list[str]:
        """Return the loops that hash every array."""
        return [
            f"for (i = 0; i < {values.size}; i++) {HASHES[c_type(values)].format(name=name)};"
            for name, values in self.arrays.items()
        ]


def array_definition(name: str, values: Array) -> str:
    """Return an array's definition."""
    return f"static const MINIKD_FLASH {c_type(values)} {name}[{values.size}] = {{\n{lines(written(values))}\n}};\n"


def c_type(values: Array) -> str:
    """Return the C type of an array's values."""
    return TYPES[str(values.dtype)]


def written(values: Array) -> list[str]:
    """Return each value as a literal of C."""
    if values.dtype != np.float32:
        return [str(value) for value in values.tolist()]
    return [c_float(value) for value in values.tolist()]


def c_float(value: float) -> str:
    """Return a float32 as a literal of C, with nine digits, which are enough to give the same float32."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def lines(words: Iterable[str]) -> str:
    """Return words with commas, as many in a line as fit."""
    found, line, length = list[str](), list[str](), 0
    for word in words:
        if length + len(word) + 2 > WIDTH:
            found.append("    " + ", ".join(line) + ",")
            line, length = [], 0
        line.append(word)
        length += len(word) + 2
    return "\n".join([*found, "    " + ", ".join(line)])


@cache
def part(name: str) -> str:
    """Return a file of `c_parts/`; "packed_linear:int4" is packed_linear.c with int4 for its $kind."""
    file, _, kind = name.partition(":")
    text = files("minikd").joinpath("exports", "c_parts", file if "." in file else f"{file}.c").read_text("utf-8")
    return Template(text).substitute(kind=kind) if kind else text
