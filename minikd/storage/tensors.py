"""Arrays by name in a safetensors file, with a checksum of all arrays and of the metadata.

A file of another program or of an earlier version has no checksum. It is read without this check.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from minikd.errors import CheckpointError, MinikdError
from minikd.memory import in_words, require
from minikd.storage import checksums
from minikd.storage.files import write_atomically
from minikd.storage.reading import as_path, check_readable, excerpt
from minikd.typing import Array, Pixels

CHECKSUM, STAGE = "minikd-sha256", "minikd-stage"
"""Metadata keys that any file of minikd may have: the checksum, and the record of what determined the weights."""

KINDS = ("minikd", "minikd-checkpoint", "minikd-answers", "minikd-editions")
"""Metadata keys that say what a file of minikd holds: a model, a checkpoint, a teacher's outputs, or augmented images.
Each file has one of them."""

DTYPES = {
    **{"BOOL": "?", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8"},
    **{"I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"},
}
"""The dtypes that safetensors and NumPy share: safetensors' name, and NumPy's name with the byte order in the file."""

HEADER = 24 * 2**20
"""Size in bytes of the longest header that is read: that of a model of 100,000 layers. In memory, its names take 25
times as much."""

FIX = "train again, or take a copy"

WANTED = "give the path of a .safetensors file, as runs/NAME/teacher.safetensors"


def write_tensors(path: Path, tensors: dict[str, Array], metadata: dict[str, str]) -> None:
    """Write arrays by name as safetensors, atomically, with a checksum of arrays and metadata."""
    from safetensors.numpy import save

    # safetensors writes an array's memory and ignores its strides, so a view would be scrambled. ascontiguousarray does
    # not help: it gives an array of shape () the shape (1,).
    laid = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    write_atomically(path, in_order(save(laid, {**metadata, CHECKSUM: checksums.of_tensors(laid, metadata)})))


def in_order(data: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted. The library writes them in another order in each process."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # pads the header, so that the arrays are aligned
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[8 + length :]])


def read_tensors(path: str | Path, fix: str = FIX) -> tuple[dict[str, Array], dict[str, str]]:
    """Return a safetensors file's arrays and metadata, without the checksum. A checksum is checked if there is one.

    Raises CheckpointError, whose message ends with `fix`, if the file is missing or damaged. Raises SizeError if the
    file is larger than the memory.
    """
    path = as_path(path, WANTED, CheckpointError)
    with opened(path, fix) as file:
        require(path.stat().st_size, str(path), "it is not a file by minikd, or it was written on a larger machine")
        tensors: dict[str, Array] = {name: file.get_tensor(name) for name in checked_names(path, file)}
        return tensors, checked_metadata(path, file, tensors, fix)


def map_images(path: Path, fix: str) -> tuple[Pixels, dict[str, str]]:
    """Return the images in a file with one array, read-only, and the metadata.

    All processes share the memory of the images.

    Raises CheckpointError like `read_tensors`.
    """
    with opened(path, fix) as file:
        names = checked_names(path, file)
        if len(names) != 1:
            raise CheckpointError(f"{path} holds {len(names)} arrays, but must hold one; {fix}")
        header = file.get_slice(names[0])
        dtype, shape = np.dtype(DTYPES[header.get_dtype()]), tuple(header.get_shape())
        start = path.stat().st_size - prod(shape) * dtype.itemsize  # safetensors allows no bytes after the last array
        value: Pixels = np.memmap(path, dtype, "r", start, shape)
        return value, checked_metadata(path, file, {names[0]: value}, fix)


def has_checksum(path: Path) -> bool:
    """Return whether a file that `read_tensors` has read has a checksum."""
    with opened(path, FIX) as file:
        return CHECKSUM in (file.metadata() or {})


@contextmanager
def opened(path: Path, fix: str) -> Iterator[Any]:
    """Open a safetensors file; the library checks its header. Raises CheckpointError."""
    from safetensors import SafetensorError, safe_open

    check_readable(path, WANTED, CheckpointError)
    with path.open("rb") as begin:
        header = int.from_bytes(begin.read(8), "little")
    if HEADER < header < path.stat().st_size:
        raise CheckpointError(
            f"{path} has a header of {in_words(header)}, but at most {in_words(HEADER)} are read; {fix}"
        )
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except MinikdError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is broken or not a safetensors file ({excerpt(error)}); {fix}") from error


def checked_names(path: Path, file: Any) -> list[str]:
    """Return the arrays' names, or refuse a dtype that NumPy lacks, such as bfloat16."""
    names: list[str] = list(file.keys())
    for name in names:
        dtype = file.get_slice(name).get_dtype()
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{path}: {excerpt(name)} holds {dtype}, which NumPy does not have; convert it to F32 first"
            )
    return names


def checked_metadata(path: Path, file: Any, tensors: Mapping[str, Array], fix: str) -> dict[str, str]:
    """Return the metadata without the checksum. Refuses a wrong checksum, and keys that minikd does not write."""
    metadata: dict[str, str] = dict(file.metadata() or {})
    checksum = metadata.pop(CHECKSUM, None)
    damage = ""
    if checksum is not None and checksum != checksums.of_tensors(tensors, metadata):
        damage = "its checksum is wrong"
    if not metadata.keys().isdisjoint(KINDS) and (foreign := metadata.keys() - {*KINDS, STAGE}):
        damage = f"its header holds {excerpt(sorted(foreign))}, which minikd does not write"
    if damage:
        raise CheckpointError(f"{path} is damaged: {damage}; {fix}")
    return metadata
