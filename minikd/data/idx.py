"""The IDX format of MNIST's files: a magic number, the sizes, then the bytes. Files are often compressed by gzip.

Layout (LeCun, Cortes, Burges, "The MNIST database"): two zero bytes, the dtype code (8 is uint8), the number of
dimensions, each dimension as a big-endian uint32, and the data in row-major order.
"""

import gzip
import zlib
from contextlib import AbstractContextManager
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from minikd.data.bounded import fill
from minikd.data.dataset import Raw
from minikd.data.shown import shown
from minikd.errors import DataError
from minikd.memory import require

DTYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
READ: dict[int, np.dtype[np.generic]] = {8: np.dtype(np.uint8), 12: np.dtype(">i4")}
"""The dtypes that are read: uint8 of MNIST's files, and int32 of QMNIST's labels."""

MOST_DIMENSIONS = 4
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path) -> Raw:
    """Return the array in an IDX file of uint8 or int32, read-only. The file may be gzipped; its first bytes say so.

    Only as many bytes are read as the header declares. Raises `DataError` if the file cannot be read, is not an IDX
    file, holds another dtype, or has too few or too many bytes for the sizes in its header. Raises `SizeError` if the
    array does not fit into memory.
    """
    try:
        with unpacked(path) as file:
            dtype, shape = header(file, path)
            return body(file, path, dtype, shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{shown(path)} is a corrupt or truncated gzip file ({error}); download it again") from error
    except OSError as error:
        raise DataError(
            f"{shown(path)} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error


def unpacked(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open the file, and unpack it if it is gzipped."""
    with path.open("rb") as file:
        zipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb")


def header(file: BinaryIO, path: Path) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    """Return the dtype and the shape that the file declares."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES or start[3] == 0:
        raise DataError(
            f"{shown(path)} is not an IDX file: it starts with {start.hex(' ') or 'nothing'}, but must start with "
            "00 00, a dtype code (08 for uint8) and the number of dimensions; download it again"
        )
    if start[2] not in READ:
        raise DataError(
            f"{shown(path)} holds {DTYPES[start[2]]} (dtype code {start[2]:#04x}), but only uint8 (0x08) is supported; "
            "write the images as 0-255 and the labels as 0-255, or give them as .npz"
        )
    if start[3] > MOST_DIMENSIONS:
        raise DataError(
            f"{shown(path)} declares {start[3]} dimensions, but labels have 1 and images 3 or 4; download it again"
        )
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(
            f"{shown(path)} is truncated within its header: {4 + len(sizes)} of {4 + 4 * start[3]} bytes; "
            "download it again"
        )
    return READ[start[2]], tuple(int(size) for size in np.frombuffer(sizes, ">u4"))


def body(file: BinaryIO, path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Raw:
    """Return the array after the header. The file must end with the array."""
    expected = prod(shape) * dtype.itemsize
    declared = prod(size or 1 for size in shape) * dtype.itemsize  # NumPy counts empty arrays in the same way
    require(
        2 * declared, f"{shown(path)}, whose header declares shape {shape},", "download it again, or give fewer images"
    )
    data = np.empty(expected, np.uint8)
    found = fill(data, file)
    if found < expected:
        raise DataError(f"{shown(path)} is truncated: {found} of {expected} bytes for shape {shape}; download it again")
    if file.read(1):
        raise DataError(f"{shown(path)} has trailing bytes after the {expected} of shape {shape}; download it again")
    data.flags.writeable = False
    return data.view(dtype).reshape(shape)
