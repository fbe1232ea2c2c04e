"""Arrays by name in a safetensors file, with a checksum over all of them and over the texts beside them.

A file of another program or of an earlier version has no checksum, and is read without one.
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
"""Keys of the texts beside the arrays that any file of minikd's may have: its checksum, what decided its weights."""

KINDS = ("minikd", "minikd-checkpoint", "minikd-answers", "minikd-editions")
"""Keys of which a file of minikd's has one, with what that file says of its arrays: a model, a checkpoint, a teacher's
answers, training images in editions."""

DTYPES = {
    **{"BOOL": "?", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8"},
    **{"I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"},
}
"""The dtypes that safetensors and NumPy share: safetensors' name, and NumPy's name with the file's byte order."""

HEADER = 24 * 2**20
"""Bytes of the longest header that is read: that of a model of 100,000 layers. Its names take 25 times the memory."""

FIX = "train again, or take a copy"

WANTED = "give the path of a .safetensors file, as runs/NAME/teacher.safetensors"


def write_tensors(path: Path, tensors: dict[str, Array], metadata: dict[str, str]) -> None:
    """Write arrays by name as safetensors, atomically, with a checksum of arrays and metadata."""
    from safetensors.numpy import save

    # safetensors writes an array's memory as it lies: a view with other strides would be written scrambled. Not by
    # ascontiguousarray, which makes a step count of shape () into one of shape (1,).
    laid = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    write_atomically(path, in_order(save(laid, {**metadata, CHECKSUM: checksums.of_tensors(laid, metadata)})))


def in_order(data: bytes) -> bytes:
    """Return a safetensors file with its metadata in order: the library's own is another one in each process."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays lie where their numbers can be read as they are
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[8 + length :]])


def read_tensors(path: str | Path, fix: str = FIX) -> tuple[dict[str, Array], dict[str, str]]:
    """Return a safetensors file's arrays and metadata, without the checksum, which is right or not there.

    Raises CheckpointError where the file is missing, broken or damaged, which ends in `fix`, SizeError where it is
    larger than the memory.
    """
    path = as_path(path, WANTED, CheckpointError)
    with opened(path, fix) as file:
        require(path.stat().st_size, str(path), "it is no file of minikd's, or of a larger machine's")
        tensors: dict[str, Array] = {name: file.get_tensor(name) for name in checked_names(path, file)}
        return tensors, checked_metadata(path, file, tensors, fix)


def map_images(path: Path, fix: str) -> tuple[Pixels, dict[str, str]]:
    """Return the images in a file of one array, read-only, and the metadata; all processes share their memory.

    Raises CheckpointError as `read_tensors`.
    """
    with opened(path, fix) as file:
        names = checked_names(path, file)
        if len(names) != 1:
            raise CheckpointError(f"{path} holds {len(names)} arrays, but must hold one; {fix}")
        header = file.get_slice(names[0])
        dtype, shape = np.dtype(DTYPES[header.get_dtype()]), tuple(header.get_shape())
        start = path.stat().st_size - prod(shape) * dtype.itemsize  # safetensors lets nothing lie behind the array
        value: Pixels = np.memmap(path, dtype, "r", start, shape)
        return value, checked_metadata(path, file, {names[0]: value}, fix)


def has_checksum(path: Path) -> bool:
    """Return whether a file, which `read_tensors` has read, carries a checksum."""
    with opened(path, FIX) as file:
        return CHECKSUM in (file.metadata() or {})


@contextmanager
def opened(path: Path, fix: str) -> Iterator[Any]:
    """Open a safetensors file, whose library then knows its header to be sound. Raises CheckpointError."""
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
    """Return the arrays' names, or refuse numbers that NumPy has not, such as bfloat16."""
    names: list[str] = list(file.keys())
    for name in names:
        dtype = file.get_slice(name).get_dtype()
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{path}: {excerpt(name)} holds {dtype}, which NumPy has not; convert it to F32 first"
            )
    return names


def checked_metadata(path: Path, file: Any, tensors: Mapping[str, Array], fix: str) -> dict[str, str]:
    """Return the file's metadata without the checksum, or refuse a wrong checksum, and what minikd does not write."""
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
