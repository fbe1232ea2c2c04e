"""Reads only as many bytes as a header declares, because a small compressed file may unpack to any size."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

PIECE = 1 << 20
"""Bytes read at a time. The reader of a compressed file copies what it reads."""


class Readable(Protocol):
    """A file, or an object that unpacks a file while it is read."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, and no bytes at the end."""


def fill(data: npt.NDArray[np.uint8], file: Readable) -> int:
    """Fill the one-dimensional `data` with the file's next bytes, and return how many there were."""
    found = 0
    while found < len(data) and (piece := file.read(min(PIECE, len(data) - found))):
        data[found : found + len(piece)] = np.frombuffer(piece, np.uint8)
        found += len(piece)
    return found
