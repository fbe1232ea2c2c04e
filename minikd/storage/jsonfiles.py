"""JSON files with a checksum in them, under the key "sha256"."""

import json
from collections.abc import Mapping
from pathlib import Path

from minikd.errors import CheckpointError, MinikdError
from minikd.storage import checksums
from minikd.storage.files import write_atomically
from minikd.storage.reading import excerpt, is_there, read_text
from minikd.storage.schema import ValueT, as_type, from_json

LIMIT = 32 * 2**20
"""Size in bytes of the largest file that is read. It has room for the predictions of more than a million images."""

KEY = "sha256"


def write_json(path: Path, table: Mapping[str, object], indent: int | None = None) -> None:
    """Write a table with its checksum, completely or not at all.

    Raises CheckpointError, also for NaN and infinities.
    """
    try:
        plain = json.loads(json.dumps(table, allow_nan=False))
    except ValueError as error:
        raise CheckpointError(f"could not write {path}: it would hold NaN or infinity ({excerpt(error)})") from error
    text = json.dumps({**plain, KEY: checksums.of_table(plain)}, indent=indent)
    write_atomically(path, f"{text}\n".encode())


def read_json(path: Path, fix: str) -> dict[str, object] | None:
    """Return a file's table without its checksum, or None if there is no file. A file without a checksum is accepted.

    Raises CheckpointError, whose message ends with `fix`, for a file that is damaged or cannot be read.
    """
    if not is_there(path, CheckpointError):
        return None
    try:
        return checked_table(json_of(path, fix))
    except MinikdError:
        raise
    except ValueError as error:
        raise broken_file(path, error, fix) from error


def json_of(path: Path, fix: str) -> object:
    """Return a file's values. Raises CheckpointError if it cannot be read, ValueError if it is not JSON."""
    return from_json(read_text(path, LIMIT, fix, CheckpointError))


def checked_table(value: object) -> dict[str, object]:
    """Return a file's table without its checksum. Raises ValueError if the checksum is wrong or there is no table."""
    if not isinstance(value, dict):
        raise ValueError("it holds no table")
    table = dict(value)
    if KEY in table and table.pop(KEY) != checksums.of_table(table):
        raise ValueError("its checksum is wrong")
    return table


def read_table(path: Path, kind: type[ValueT], fix: str) -> ValueT | None:
    """Return a file's contents as the declared type; see `read_json`."""
    table = read_json(path, fix)
    try:
        return None if table is None else as_type(table, kind)
    except ValueError as error:
        raise broken_file(path, error, fix) from error


def broken_file(path: Path, reason: ValueError, fix: str) -> CheckpointError:
    """Return the error that says what is wrong with a file."""
    return CheckpointError(f"{path} is broken ({excerpt(reason)}); {fix}")
