"""The arrays in an .npz file, a zip archive of .npy files. Each array is read only when it is needed.

Pickled objects are refused, and so are arrays whose header does not match the file.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy

from minikd.data.bounded import Readable, fill
from minikd.data.dataset import Raw
from minikd.data.shown import first_names, shown
from minikd.errors import DataError, MinikdError
from minikd.memory import require
from minikd.storage.reading import excerpt

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The compression methods that NumPy writes. Unpacking other methods may take any amount of memory."""

LONGEST_HEADER = 10_000
"""Maximum number of bytes of a header; NumPy's own headers have about a hundred."""

MOST_AXES = 64
"""The largest number of axes of an array in NumPy."""

ENDING = ".npy"


class NpyHeader(NamedTuple):
    """The header of an .npy file, and the size of the file in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    size: int

    @property
    def nbytes(self) -> int:
        """The bytes of the array."""
        return prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


def read_npy(path: Path) -> Raw:
    """Return the array in an .npy file. Raises `DataError`."""
    with opened(path) as file:
        return read_body(file, plain_header(file), shown(path))


@contextmanager
def opened_npz(path: Path) -> Iterator["NpzArrays"]:
    """Give the arrays of an .npz file. Raises `DataError`, also if reading one of the arrays fails."""
    with opened(path) as file:
        if file.read(npy.MAGIC_LEN).startswith(npy.MAGIC_PREFIX):
            raise DataError(f"{shown(path)} is a single array, not an .npz file; save it with np.savez")
        yield NpzArrays(path, zipfile.ZipFile(file))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of arrays. Every error becomes a `DataError` with the file's name."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(
            f"{shown(path)} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error
    with file:
        try:
            yield file
        except MinikdError:
            raise
        except Exception as error:  # damaged bytes make zipfile, zlib and NumPy raise many kinds of errors
            raise DataError(
                f"{shown(path)} cannot be read as {path.suffix}: it is damaged, truncated or holds pickled objects, "
                f"which are refused ({excerpt(error) or type(error).__name__}); write it again with plain arrays "
                "(np.savez_compressed)"
            ) from error


class NpzArrays:
    """The arrays in an open .npz file by name."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path, self._file = path, file
        found = {one.filename: one for one in file.infolist() if one.filename.endswith(ENDING)}
        self._members = {name.removesuffix(ENDING): one for name, one in found.items()}

    @property
    def names(self) -> list[str]:
        """The names, in the order of the file."""
        return list(self._members)

    def named(self, key: str) -> str | None:
        """Return the name that equals `key`, if necessary ignoring case, or None."""
        return key if key in self._members else next((name for name in self._members if name.lower() == key), None)

    def header(self, name: str) -> NpyHeader:
        """Return an array's header. The array itself may be one that is refused, such as pickled objects."""
        with self._opened(name) as stream:
            return read_header(stream)

    def listed(self) -> str:
        """Return the names with shapes and dtypes, for a message."""
        return (
            first_names([f"{shown(name)} {self.header(name)}" for name in self.names[:10]] + self.names[10:])
            or "nothing"
        )

    def read(self, name: str) -> Raw:
        """Return an array. Raises `SizeError` if memory cannot hold it."""
        with self._opened(name) as stream:
            header = plain_header(stream)
            if header.size + header.nbytes != self._members[name].file_size:
                raise ValueError(
                    f"{name} declares {header.nbytes:,} bytes but has {self._members[name].file_size - header.size:,}"
                )
            return read_body(stream, header, f"{name} in {shown(self.path)}")

    def _opened(self, name: str) -> IO[bytes]:
        member = self._members[name]
        if member.compress_type not in PACKED:
            raise ValueError(f"{name} is packed in another way than by NumPy")
        return self._file.open(member)


def read_header(stream: Readable) -> NpyHeader:
    """Return the header of an .npy file. Raises ValueError if it is not a header or is too long."""
    start = stream.read(npy.MAGIC_LEN)
    version = npy.read_magic(io.BytesIO(start))
    width = 2 if version == (1, 0) else 4
    length = stream.read(width)
    count = int.from_bytes(length, "little")
    if version[0] > 2 or count > LONGEST_HEADER:
        raise ValueError(f"a header of version {version} and {count} bytes")
    text = io.BytesIO(length + stream.read(count))
    read = npy.read_array_header_1_0 if width == 2 else npy.read_array_header_2_0
    shape, fortran, dtype = read(text)
    if len(shape) > MOST_AXES:
        raise ValueError(f"an array of {len(shape):,} axes")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype} and shape {shape}")
    return NpyHeader(shape, fortran, dtype, len(start) + width + count)


def plain_header(stream: Readable) -> NpyHeader:
    """Return the header of an array that may be read. Raises ValueError for pickled objects and items of size 0."""
    header = read_header(stream)
    if header.dtype.hasobject or not header.dtype.itemsize:
        raise ValueError(f"an array of {header.dtype} and shape {header.shape}")
    return header


def read_body(stream: Readable, header: NpyHeader, where: str) -> Raw:
    """Return the array after a header. Raises ValueError if the file is shorter or longer, or SizeError."""
    require(2 * header.nbytes, f"{where}, of shape {header.shape} and {header.dtype},", "give fewer or smaller images")
    data = np.empty(header.nbytes, np.uint8)
    if fill(data, stream) < len(data) or stream.read(1):
        raise ValueError(f"other than the {header.nbytes:,} bytes that its header declares")
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    return data.view(header.dtype).reshape(header.shape, order=order)
