"""The IDX format of MNIST's files: a magic number, the sizes, then the bytes, all of it often inside gzip.

Layout (LeCun, Cortes, Burges, "The MNIST database"): two zero bytes, the dtype code (8 is uint8), the number of
dimensions, each dimension as a big-endian uint32, and the data in row-major order.
"""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minikd.errors import DataError

DTYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
UINT8 = 8
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array in an IDX file of uint8, gzipped or not (its first bytes tell, not its name); read-only.

    Raises `DataError` where the file cannot be read, is no IDX file, holds another dtype, or has too few or too many
    bytes for the sizes in its header.
    """
    data = decompressed(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES or data[3] == 0:
        raise DataError(
            f"{path} is not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}, but must start with 00 00, "
            "a dtype code (08 for uint8) and the number of dimensions; download it again"
        )
    if data[2] != UINT8:
        raise DataError(
            f"{path} holds {DTYPES[data[2]]} (dtype code {data[2]:#04x}), but only uint8 (0x08) is supported; "
            "write the images as 0-255 and the labels as 0-255, or give them as .npz"
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{path} is truncated within its header: {len(data)} of {start} bytes; download it again")
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    expected, found = prod(shape), len(data) - start
    if found < expected:
        raise DataError(f"{path} is truncated: {found} of {expected} bytes for shape {shape}; download it again")
    if found > expected:
        raise DataError(
            f"{path} has {found - expected} trailing bytes after the {expected} of shape {shape}; download it again"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def decompressed(path: Path) -> bytes:
    """Return the file's bytes, out of gzip where they are in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a corrupt or truncated gzip file ({error}); download it again") from error
