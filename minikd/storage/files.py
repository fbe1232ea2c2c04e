"""Writing a file so that it is there whole or not at all.

A checkpoint that Ctrl-C or a full disk cut in half is worse than none: it hides the good one that it replaced. So every
file of a run is written beside its place, forced to the disk, and only then renamed over the old one.
"""

import errno
import os
import secrets
import time
from contextlib import suppress
from glob import escape
from pathlib import Path

from minikd.errors import CheckpointError

_FIXES = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some of your quota, or choose a folder on another disk",
    errno.ENOENT: "create the folder first, or choose one that exists",
    errno.EISDIR: "a folder has that name: move it away, or choose another name",
}

ABANDONED = 600.0
"""Seconds without a write after which a temporary file counts as left behind by a killed process."""


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there. Raises `CheckpointError` with the reason and a fix."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        taken = isinstance(error, FileExistsError | NotADirectoryError)
        fix = "remove what is there" if taken else "choose another place"
        raise CheckpointError(f"could not make the folder {folder}: {error.strerror or error}; {fix}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader finds the old file or the new one, never a part.

    Raises `CheckpointError`, with the system's reason and a fix, where the file cannot be written (a full disk, a
    folder without write permission). The old file is then still there and nothing is left beside it.
    """
    aside = aside_of(path)
    try:
        # `tempfile` would make a file that only its owner can read; a plain `open` respects the umask.
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or the rename could reach the disk before the bytes do
        os.replace(aside, path)
    except OSError as error:
        reason = error.strerror or str(error)
        fix = _FIXES.get(error.errno or 0, "choose a folder that you may write to")
        raise CheckpointError(f"could not write {path}: {reason}; {fix}. Nothing there was changed.") from error
    finally:
        with suppress(OSError):  # after the rename there is nothing to remove
            aside.unlink()
    force_names(path.parent)
    remove_asides(path.parent, escape(path.name), ABANDONED)


def aside_of(path: Path) -> Path:
    """Return a new hidden name beside a path, for what will be renamed to it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def force_names(folder: Path) -> None:
    """Force a folder's names to the disk, so that a rename outlasts a power cut, where the system can do that."""
    with suppress(OSError):  # Windows opens no folder, and some file systems force none
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def asides_in(folder: Path, name: str = "*") -> list[Path]:
    """Return what is there under the hidden names that `aside_of` gives, for files of this name or pattern."""
    return list(folder.glob(f".{name}.{'[0-9a-f]' * 8}.tmp"))


def remove_asides(folder: Path, name: str = "*", age: float = 0.0) -> None:
    """Remove temporary files of killed processes, which were not written to for this many seconds."""
    oldest = time.time() - age
    for path in asides_in(folder, name):
        with suppress(OSError):  # another has been faster, or it is not ours to remove
            if path.lstat().st_mtime <= oldest and not path.is_dir():
                path.unlink()
