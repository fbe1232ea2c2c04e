"""Reads as many bytes as a header declares, and no more: a small packed file may unpack to any size."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

PIECE = 1 << 20
"""Bytes asked for at a time: a packed file's reader makes a copy of what it is asked for."""


class Readable(Protocol):
    """A file, or what unpacks one as it is read."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


def fill(data: npt.NDArray[np.uint8], file: Readable) -> int:
    """Fill `data`, of one axis, with the file's next bytes and return how many there were."""
    found = 0
    while found < len(data) and (piece := file.read(min(PIECE, len(data) - found))):
        data[found : found + len(piece)] = np.frombuffer(piece, np.uint8)
        found += len(piece)
    return found
