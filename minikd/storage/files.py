"""Writes a file completely or not at all.

Ctrl-C or a full disk must not leave half a checkpoint in the place of a good one. So every file of a run is written
under a temporary name in the same folder, forced to the disk, and then renamed to replace the old file.
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
    """Make a folder and its parents, unless they exist. Raises `CheckpointError` with the reason and a fix."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        taken = isinstance(error, FileExistsError | NotADirectoryError)
        fix = "remove what is there" if taken else "choose another place"
        raise CheckpointError(f"could not make the folder {folder}: {error.strerror or error}; {fix}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader finds the old file or the new file, never a part.

    Raises `CheckpointError`, with the system's reason and a fix, if the file cannot be written (such as a full disk, or
    a folder without write permission). The old file then remains, and no temporary file is left.
    """
    aside = temporary_path(path)
    try:
        # `tempfile` would make a file that only its owner can read; a plain `open` respects the umask.
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # otherwise the rename could reach the disk before the bytes
        os.replace(aside, path)
    except OSError as error:
        reason = error.strerror or str(error)
        fix = _FIXES.get(error.errno or 0, "choose a folder that you may write to")
        raise CheckpointError(f"could not write {path}: {reason}; {fix}. Nothing there was changed.") from error
    finally:
        with suppress(OSError):  # after the rename there is nothing to remove
            aside.unlink()
    force_names(path.parent)
    remove_temporary_files(path.parent, escape(path.name), ABANDONED)


def temporary_path(path: Path) -> Path:
    """Return a new hidden name in the folder of `path`, for a file that will be renamed to `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def force_names(folder: Path) -> None:
    """Force a folder's names to the disk, if the system can do that, so that a rename survives a power failure."""
    with suppress(OSError):  # Windows cannot open a folder, and some file systems cannot force one
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def temporary_paths(folder: Path, name: str = "*") -> list[Path]:
    """Return the files with hidden names from `temporary_path`, for files of this name or pattern."""
    return list(folder.glob(f".{name}.{'[0-9a-f]' * 8}.tmp"))


def remove_temporary_files(folder: Path, name: str = "*", age: float = 0.0) -> None:
    """Remove temporary files of killed processes: those that nobody has written to for `age` seconds."""
    oldest = time.time() - age
    for path in temporary_paths(folder, name):
        with suppress(OSError):  # another process has removed it, or we may not remove it
            if path.lstat().st_mtime <= oldest and not path.is_dir():
                path.unlink()
