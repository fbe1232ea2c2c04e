"""Writing a file so that it is there whole or not at all.

A checkpoint that Ctrl-C or a full disk cut in half is worse than none: it hides the good one that it replaced. So every
file of a run is written beside its place, forced to the disk, and only then renamed over the old one.
"""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from minikd.errors import CheckpointError

_FIXES = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some of your quota, or choose a folder on another disk",
    errno.ENOENT: "create the folder first, or choose one that exists",
    errno.EISDIR: "a folder has that name: move it away, or choose another name",
}


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader finds the old file or the new one, never a part.

    Raises `CheckpointError`, with the system's reason and a fix, where the file cannot be written (a full disk, a
    folder without write permission). The old file is then still there and nothing is left beside it.
    """
    # `tempfile` would make a file that only its owner can read; a plain `open` respects the umask.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
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
