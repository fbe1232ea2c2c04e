"""Reads a file that may be missing, unreadable, a folder or far too large, with an error message for each case.

Other code checks the contents (`schema`, and the reader of each format). Their messages pass text from a file through
`excerpt`, because a damaged file may contain line breaks and terminal commands.
"""

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minikd.console.terminal import one_line
from minikd.errors import MinikdError
from minikd.memory import in_words

LONGEST = 500
"""Maximum number of characters of a message that comes from a file or from a library."""


def read_bytes(path: Path, limit: int, wanted: str, error: type[MinikdError]) -> bytes:
    """Return the file's bytes, at most `limit` of them.

    Raises `error` if the file is missing, is a folder, may not be read, or is larger. The message ends with `wanted`.
    """
    with system_errors(path, wanted, error):
        check_file(path, wanted, error)
        with path.open("rb") as file:
            data = file.read(limit + 1)  # not the file's size: a device or a growing file has no fixed size
    if len(data) > limit:
        raise error(f"{path} is larger than {in_words(limit)}, the most that such a file may have; {wanted}")
    return data


def read_text(path: Path, limit: int, wanted: str, error: type[MinikdError]) -> str:
    """Return the file's text, without the byte-order mark that some editors write at its start; see `read_bytes`."""
    data = read_bytes(path, limit, wanted, error)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(
            f"{path} is not text in UTF-8 ({problem.reason}: byte {data[problem.start]:#04x} at {problem.start}); "
            f"{wanted}"
        ) from problem


def as_path(path: object, wanted: str, error: type[MinikdError]) -> Path:
    """Return the path that a caller gave, or raise `error` if it is not a path."""
    if not isinstance(path, str | Path) or "\0" in str(path):
        raise error(f"{excerpt(repr(path))} is no path; {wanted}")
    return Path(path)


def is_there(path: Path, error: type[MinikdError]) -> bool:
    """Return whether the file or folder exists. Raises `error` if the system does not let us look."""
    with system_errors(path, "", error):
        return path.exists()


def check_file(path: Path, wanted: str, error: type[MinikdError]) -> None:
    """Refuse a missing file, a folder, and a pipe, which may never end. A pipe that the shell has made is accepted."""
    with system_errors(path, wanted, error):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise error(f"{path} is a folder; {wanted}")
        if stat.S_ISFIFO(mode) and path.parts[:2] != ("/", "dev"):
            raise error(f"{path} is a pipe; {wanted}")


def check_readable(path: Path, wanted: str, error: type[MinikdError]) -> None:
    """Refuse a file that the system does not let us read. A library might report such a file as damaged."""
    check_file(path, wanted, error)
    with system_errors(path, wanted, error):
        path.open("rb").close()


@contextmanager
def system_errors(path: Path, wanted: str, error: type[MinikdError]) -> Iterator[None]:
    """Turn an error of the system into an `error` that says what is wrong and what to do."""
    try:
        yield
    except FileNotFoundError as problem:
        raise error(f"{path} is not there; {wanted}") from problem
    except PermissionError as problem:
        raise error(
            f"{path} cannot be read: permission denied; allow it (chmod u+r, and u+x for its folders), or ask its owner"
        ) from problem
    except OSError as problem:
        fix = (
            "give a path without a part that is a file"
            if problem.errno == errno.ENOTDIR
            else "check the path and the disk"
        )
        raise error(f"{path} cannot be read: {problem.strerror or problem}; {fix}") from problem


def excerpt(text: object) -> str:
    """Return a text of unknown origin as one line that is safe to print in a terminal. A long text is cut off."""
    line = one_line(str(text)[: LONGEST + 1])
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
