"""A C file under construction: constant arrays, the functions it needs, the calls of minikd_predict, their memory.

The functions are C as anyone would write it, in `c_parts/`: a file each, copied where a network needs it.
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
"""How a value of each type joins the hash."""

WIDTH = 110
"""Columns of an array's lines."""

LOGITS = "logits"
"""The array that the caller gives for the answer."""


class WindowMoves(NamedTuple):
    """What slides over an image: shapes (C, H, W) of input and output, and the moves."""

    before: Shape
    after: Shape
    kernel: HeightWidth
    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth = (1, 1)
    groups: int = 1


class Value(NamedTuple):
    """An array of the C file, and the shape of what it holds."""

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
        """Copy these files of `c_parts/`, once each, in the order in which they are first asked for."""
        self.parts.update(dict.fromkeys(parts))

    def array(self, name: str, values: Array) -> str:
        """Add a constant array, and return its name."""
        self.arrays[name] = np.asarray(values, order="C").ravel()
        return name

    def moves(self, name: str, windows: WindowMoves) -> str:
        """Add windows, and return the expression that points to them."""
        self.use("windows")
        pairs = (windows.kernel, windows.stride, windows.padding, windows.dilation)
        values = [*windows.before, *windows.after, *(f"{{{a}, {b}}}" for a, b in pairs), windows.groups]
        self.windows[name] = ", ".join(map(str, values))
        return f"&{name}"

    def call(self, function: str, *arguments: object) -> None:
        """Call a function in minikd_predict."""
        self.calls.append(f"{function}({', '.join(map(str, arguments))});")

    def take(self, size: int) -> str:
        """Return the name of a buffer of this size: the smallest free one that fits, else the largest one, enlarged."""
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
        """Return x, to be overwritten, or another buffer where x is held for later or is the caller's."""
        return x if x.startswith("buffer_") and not self._held[x] else self.take(size)

    def hold(self, x: str) -> None:
        """Keep x until it is let go as often."""
        self._held[x] += 1

    def let_go(self, x: str) -> None:
        """Take one hold off x."""
        self._held[x] -= 1

    def release(self, x: str) -> None:
        """Make a buffer free, unless it is still held."""
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
        """The CRC-32 of all arrays, each value's lowest byte first."""
        total = 0
        for values in self.arrays.values():
            total = zlib.crc32(values.astype(values.dtype.newbyteorder("<")).tobytes(), total)
        return total

    def constants(self) -> str:
        """Return the arrays and windows as C."""
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
    """Return each value as C writes it."""
    if values.dtype != np.float32:
        return [str(value) for value in values.tolist()]
    return [c_float(value) for value in values.tolist()]


def c_float(value: float) -> str:
    """Return a float32 as C writes it: by the nine digits that give the same one back."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def lines(words: Iterable[str]) -> str:
    """Return words with commas, as many a line as fit."""
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
