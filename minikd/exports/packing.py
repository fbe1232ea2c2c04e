"""How C stores weights that are whole numbers: one row of bytes after the other, in the smaller of two forms.

    int8      one weight a byte
    int4      two weights a byte, the first in the lower half: q + 8, 1 to 15
    ternary   five weights a byte. Their digits q + 1, of base 3, make a number v below 3⁵ = 243, and the byte is
              v · 256/243, rounded up. Multiplied by 3, its carry is the first digit, and the lower byte holds the
              others: multiplied by 3 again, its carry is the second. So reading needs no division

A row with many zeros is smaller as a list of its other weights. The list begins with their number, in two bytes. Each
weight has a gap, the number of zeros before it:

    int8      two bytes: gap 0 to 255, then q + 128
    int4      one byte: the gap, 0 to 15, in the upper half, q + 8 in the lower
    ternary   one byte: the gap, 0 to 63, in the upper six bits, q + 1 in the lower two

If a gap is too long for its bits, the list has a weight of 0 inside the gap.
"""

from collections.abc import Callable, Iterator

import numpy as np

from minikd.exports.integer import Int8, UInt8
from minikd.typing import Floats

LONGEST_GAP = {"int8": 255, "int4": 15, "ternary": 63}
"""The most zeros that a listed weight can skip."""

FIVE = 3 ** np.arange(4, -1, -1)
"""The place values of the five digits in a byte of ternary weights."""


def pack_int4(rows: Int8) -> UInt8:
    """Return weights (O, n) in -7..7 as bytes (O, ⌈n/2⌉)."""
    wide = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))) + 8
    packed: UInt8 = (wide[:, ::2] | wide[:, 1::2] << 4).astype(np.uint8)
    return packed


def pack_ternary(rows: Int8) -> UInt8:
    """Return weights (O, n) in -1..1 as bytes (O, ⌈n/5⌉)."""
    digits = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 5))).reshape(len(rows), -1, 5) + 1
    numbers = digits.astype(int) @ FIVE  # (O, n/5) = (O, n/5, 5) @ (5,)
    packed: UInt8 = (-(numbers * 256 // -243)).astype(np.uint8)
    return packed


DENSE: dict[str, Callable[[Int8], UInt8]] = {
    "int8": lambda rows: rows.view(np.uint8),
    "int4": pack_int4,
    "ternary": pack_ternary,
}
"""The function that stores a dense row of each kind."""


def nonzero_entries(row: Int8 | Floats, longest: int) -> Iterator[tuple[int, float]]:
    """Yield (gap, weight) for each listed weight of a row. A gap that is too long is divided by a weight of 0."""
    place = 0
    for c in np.flatnonzero(row).tolist():
        while c - place > longest:
            yield longest, 0
            place += longest + 1
        yield c - place, row[c].item()
        place = c + 1


def pack_sparse(rows: Int8, kind: str) -> UInt8:
    """Return weights (O, n) as lists of those that are not 0, one row after the other."""
    found: list[int] = []
    for row in rows:
        entries = [*nonzero_entries(row, LONGEST_GAP[kind])]
        found += [len(entries) % 256, len(entries) // 256]
        for gap, weight in entries:
            q = int(weight)
            found += {"int8": [gap, q + 128], "int4": [gap << 4 | q + 8], "ternary": [gap << 2 | q + 1]}[kind]
    return np.array(found, np.uint8)


def stored(rows: Int8, kind: str) -> tuple[str, UInt8]:
    """Return the form of weights (O, n) with the fewest bytes, "int4" or "sparse_int4", and these bytes."""
    dense = DENSE[kind](rows)
    sparse = pack_sparse(rows, kind)
    return (f"sparse_{kind}", sparse) if sparse.size < dense.size else (kind, dense.ravel())
