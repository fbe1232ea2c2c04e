"""history.csv: a line for each epoch of each model. The whole file is written again after each epoch.

The last column detects damage. It is the CRC-32 of the rest of the line, with the line's number and the number of all
lines, so a missing line is detected too.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

from minikd.errors import CheckpointError
from minikd.storage.files import write_atomically
from minikd.storage.reading import excerpt, is_there, read_text
from minikd.training.checkpoints import COLUMNS, TEXTS, UNKNOWN, Row, checked_row, checked_rows

CHECKSUM = "crc32"

LIMIT = 64 * 2**20
"""The size in bytes of the largest file that is read."""

EARLIER = COLUMNS[:-1]
"""The columns that earlier versions wrote, without `steps`."""

FIX = "remove the file: the curves begin again, and what is trained stays"


def write_history(path: Path, rows: list[Row]) -> None:
    """Write the rows in order, after a line with the names of the columns."""
    lines = [",".join(map(text, (row[name] for name in COLUMNS))) for row in rows]
    sums = [f"{line},{checksum(line, number, len(lines))}" for number, line in enumerate(lines, 1)]
    write_atomically(path, "".join(f"{line}\n" for line in (",".join((*COLUMNS, CHECKSUM)), *sums)).encode())


def text(value: str | int | float) -> str:
    """Return a value as it is written in the file. An infinite number is written as nan."""
    return "nan" if isinstance(value, float) and not math.isfinite(value) else str(value)


def checksum(line: str, number: int, lines: int) -> int:
    """Return the checksum of line `number` of `lines`."""
    return zlib.crc32(f"{number}/{lines},{line}".encode())


def read_history(path: Path) -> list[Row]:
    """Return the rows, or none without a file. Raises CheckpointError for other columns and damaged lines."""
    if not is_there(path, CheckpointError):
        return []
    head, *lines = read_text(path, LIMIT, FIX, CheckpointError).replace("\r\n", "\n").split("\n")
    names = head.split(",")
    columns = COLUMNS if COLUMNS[-1] in names else EARLIER
    if tuple(names) not in (columns, (*columns, CHECKSUM)):
        raise CheckpointError(f"{path} has columns {excerpt(names)}, but must have {excerpt(list(COLUMNS))}; {FIX}")
    try:
        if len(lines) < 2 or lines.pop() != "":
            raise ValueError("it is cut off: its last line is incomplete, or there are no lines")
        return checked_rows([row_of(line, number, lines, names) for number, line in enumerate(lines, 1)])
    except ValueError as error:
        raise CheckpointError(f"{path} is broken ({excerpt(error)}); {FIX}") from error


def row_of(line: str, number: int, lines: Sequence[str], names: Sequence[str]) -> Row:
    """Return the values of line `number` by name, without the checksum. Raises ValueError."""
    cells = line.split(",")
    if len(cells) != len(names):
        raise ValueError(f"line {number + 1} has {len(cells)} cells, not {len(names)}")
    if names[-1] == CHECKSUM and cells.pop() != str(checksum(",".join(cells), number, len(lines))):
        raise ValueError(f"line {number + 1} does not agree with its checksum, or a line is missing")
    try:
        return checked_row({name: value(name, cell) for name, cell in zip(names, cells, strict=False)})
    except ValueError as error:
        raise ValueError(f"line {number + 1}: {error}") from error


def value(name: str, cell: str) -> str | int | float | None:
    """Return a cell's value, or None for nan if nan is allowed."""
    if name in TEXTS:
        return cell
    if name == "epoch":
        return int(cell)
    number = float(cell)
    if not math.isfinite(number) and (name not in UNKNOWN or cell != "nan"):
        raise ValueError(f"{name} is {cell}")
    return number if math.isfinite(number) else None
