"""The safetensors format with NumPy only, for pages: their Pyodide has no package for it.

A file is 8 bytes with the length of the header, the header in JSON (dtype, shape and place of each array, and texts
under `__metadata__`), and the arrays' numbers without gaps. The names here are those of the packages `safetensors` and
`safetensors.numpy`. Source: the format's description, https://github.com/huggingface/safetensors.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType

import numpy as np

from minikd.typing import Array

DTYPES = {
    **{"BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "I32": "<i4", "U32": "<u4"},
    **{"F32": "<f4", "F64": "<f8", "I64": "<i8", "U64": "<u8"},
}
"""The format's names and NumPy's, in the package's order: a file begins with the arrays of the last dtype."""

TEXTS = "__metadata__"
"""The header's key of the texts."""


class SafetensorError(Exception):
    """A file is not in the format."""


@dataclass(frozen=True)
class ArrayPlace:
    """An array in the header. begin and end count from the first number of the first array."""

    dtype: str
    shape: list[int]
    begin: int
    end: int

    def get_dtype(self) -> str:
        """Return the format's name of the dtype."""
        return self.dtype

    def get_shape(self) -> list[int]:
        """Return the shape."""
        return self.shape


class SafeOpen:
    """A file whose arrays are read by name, like `safe_open` of the package. Raises SafetensorError for damage."""

    def __init__(self, filename: str | Path, framework: str = "np") -> None:
        data = Path(filename).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        if start > len(data):
            raise SafetensorError(f"{len(data)} bytes, but the header ends at {start}")
        self.places, self.texts = header_of(data[8:start])
        self.numbers = data[start:]
        check_places(self.places, len(self.numbers))

    def __enter__(self) -> "SafeOpen":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close nothing: the file has been read."""

    def keys(self) -> list[str]:
        """Return the arrays' names."""
        return sorted(self.places)

    def metadata(self) -> dict[str, str] | None:
        """Return the texts that are stored with the arrays."""
        return self.texts

    def get_slice(self, name: str) -> ArrayPlace:
        """Return an array's entry in the header."""
        return self.places[name]

    def get_tensor(self, name: str) -> Array:
        """Return an array."""
        place = self.places[name]
        numbers = np.frombuffer(self.numbers[place.begin : place.end], DTYPES[place.dtype])
        return numbers.reshape(place.shape).copy()


def header_of(text: bytes) -> tuple[dict[str, ArrayPlace], dict[str, str] | None]:
    """Return the arrays' places and the texts."""
    try:
        header = json.loads(text)
        texts = header.pop(TEXTS, None)
        places = {name: ArrayPlace(one["dtype"], one["shape"], *one["data_offsets"]) for name, one in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SafetensorError(f"the header cannot be read: {error!r}") from error
    return places, texts


def check_places(places: Mapping[str, ArrayPlace], size: int) -> None:
    """Raise SafetensorError if the arrays do not fill the file exactly, each with the bytes that its shape needs."""
    end = 0
    for place in sorted(places.values(), key=lambda one: (one.begin, one.end)):
        if place.dtype not in DTYPES:
            raise SafetensorError(f"NumPy has no {place.dtype}")
        if place.begin != end or place.end - end != prod(place.shape) * np.dtype(DTYPES[place.dtype]).itemsize:
            raise SafetensorError(f"an array of shape {place.shape} does not fit bytes {place.begin} to {place.end}")
        end = place.end
    if end != size:
        raise SafetensorError(f"{size} bytes of numbers, but the header needs {end}")


def save(tensor_dict: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a file's bytes."""
    names = {np.dtype(one): name for name, one in DTYPES.items()}
    last_first = [*DTYPES][::-1].index
    order = sorted(tensor_dict, key=lambda name: (last_first(names[tensor_dict[name].dtype]), name))
    header: dict[str, object] = {TEXTS: dict(metadata)} if metadata is not None else {}
    end = 0
    for name in order:
        value = tensor_dict[name]
        offsets = [end, end := end + value.nbytes]
        header[name] = {"dtype": names[value.dtype], "shape": value.shape, "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *(tensor_dict[name].tobytes() for name in order)])


def save_file(
    tensor_dict: Mapping[str, Array], filename: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a file."""
    Path(filename).write_bytes(save(tensor_dict, metadata))


def load_file(filename: str | Path) -> dict[str, Array]:
    """Return a file's arrays by name."""
    with SafeOpen(filename) as file:
        return {name: file.get_tensor(name) for name in file.places}


safe_open = SafeOpen


def install() -> None:
    """Make `import safetensors` and `import safetensors.numpy` find this module if the package is missing."""
    module = sys.modules[__name__]
    sys.modules.setdefault("safetensors", module)
    sys.modules.setdefault("safetensors.numpy", module)
