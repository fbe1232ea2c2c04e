"""A run's folder. It has its config.toml from the start, only one process uses it, and no link leads out of it.

It is made under a hidden name, and renamed when it holds config.toml. The system refuses to rename a folder onto one
that is not empty, so only one of two runs gets a name. The lock is the system's, on the file .lock. It ends with the
process, also if the process is killed.
"""

import errno
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.console.notices import notice
from minikd.errors import ConfigError
from minikd.storage.files import force_names, remove_temporary_files, temporary_path, temporary_paths, write_atomically

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK, CONFIG = ".lock", "config.toml"

NOTHING_DONE = {LOCK, CONFIG, "history.csv"}
"""The only files in the folder of a run that has not finished anything."""

YOUNG = 0.2
"""A folder with a hidden name may be without a lock for this many seconds, while it is made."""

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""The errors of a file system without locks."""


class RunFolder:
    """The folder of a run, before and after it is made.

    path: where it is or will be. new: it must not exist yet. numbered: a name that is taken gets a number. patience:
    seconds to wait for a process that uses the folder, such as one that has not yet noticed that its parent has ended.
    """

    def __init__(self, path: Path, new: bool = False, numbered: bool = False, patience: float = 0.0) -> None:
        self.path, self.new, self.numbered, self.patience = path, new or numbered, numbered, patience
        self.lock: BaseFileLock | None = None
        self.claimed = self.made = False

    def claim(self, config: str) -> None:
        """Make the folder with this text as config.toml, or use the existing one. Lock it from now on.

        Raises ConfigError if it is taken or in use, if it cannot be made or written, or if links lead out of it.
        """
        remove_abandoned(self.path.parent)
        self.made = any(self.make(path, config) for path in self.names())
        if not self.made:
            self.check_free()
            check_begun(self.path, or_empty=True)
            self.lock = lock_folder(self.path, self.patience)
            if not (self.path / CONFIG).exists():
                write_atomically(self.path / CONFIG, config.encode())
        self.claimed = True

    def check_free(self) -> None:
        """Refuse a name that is taken, if the folder must be new and may not get a number."""
        if self.new and not self.numbered and os.path.lexists(self.path):
            raise ConfigError(taken(self.path))

    def names(self) -> Iterator[Path]:
        """Yield the paths where it may be made, the best first."""
        yield self.path
        if self.numbered:
            yield from (self.path.with_name(f"{self.path.name}-{number}") for number in count(2))

    def make(self, path: Path, config: str) -> bool:
        """Make the folder at this path and lock it, unless the path exists. Return whether it was made."""
        if os.path.lexists(path):
            return False
        aside = temporary_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.mkdir()
            lock = lock_folder(aside)
            write_atomically(aside / CONFIG, config.encode())
            if os.name == "nt":  # Windows renames no folder while a file in it is open
                release(lock)
            os.rename(aside, path)
        except OSError as error:
            remove_nothing_done(aside)
            if os.path.lexists(path):  # another process was faster
                return False
            raise ConfigError(
                f"{path} cannot be created ({error.strerror}); choose another folder with --runs"
            ) from error
        except BaseException:
            remove_nothing_done(aside)
            raise
        force_names(path.parent)
        self.path, self.lock = path, lock_folder(path) if os.name == "nt" else lock
        return True

    def release(self, failed: bool = False, diverged: bool = False) -> None:
        """Unlock the folder. If the run failed, was new and has finished nothing, remove the folder.

        The name of a run that diverged becomes free again, because the run would diverge again if it were resumed.
        """
        release(self.lock)
        self.lock = None
        if diverged:
            clear_diverged_run(self.path)
        elif failed and self.made:
            remove_nothing_done(self.path)

    @property
    def can_resume(self) -> bool:
        """True if there is something to resume."""
        return self.claimed and self.path.is_dir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock an existing folder. Raises ConfigError if another process has locked it, or if links lead out of it."""
    lock = lock_folder(folder)
    try:
        yield
    finally:
        release(lock)


def lock_folder(folder: Path, patience: float = 0.0) -> "BaseFileLock | None":
    """Lock a folder, and remove what killed processes left in it. Without locks, return None and give a notice."""
    from filelock import FileLock, Timeout

    check_links(folder)
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=patience, poll_interval=0.1)
    except Timeout as error:
        raise ConfigError(
            f"{folder} is in use{lock_owner(folder / LOCK)}; wait until it ends, stop it, or choose another folder"
        ) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise ConfigError(
                f"{folder} cannot be written to ({error.strerror}); change its permissions, or continue in a copy "
                "elsewhere"
            ) from error
        notice(f"{folder} is on a file system without locks: make sure that no other process uses it")
        return None
    for inside in [folder, *(path for path in folder.iterdir() if path.is_dir())]:
        remove_temporary_files(inside)
    return lock


def in_use(folder: Path) -> bool:
    """Return whether a living process has locked a folder, or False if that cannot be known."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).is_file():
        return False
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


def release(lock: "BaseFileLock | None") -> None:
    """Release a lock."""
    if lock is not None:
        lock.release()


def lock_owner(lock: Path) -> str:
    """Return which process has a lock, as " by process 123", or "" if that cannot be known, as for another machine."""
    import psutil

    path = str(lock.resolve())
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if any(file.path == path for file in process.open_files()):
                return " by this process" if process.pid == os.getpid() else f" by process {process.pid}"
    return ""


def check_links(folder: Path) -> None:
    """Refuse a folder with a link that leads out of it, because writing to it would change files elsewhere."""
    home = folder.resolve()
    for path in sorted(folder / name for name in files_in(folder)):
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise ConfigError(
                f"{path} is a link to {path.readlink()}, and nothing is written outside {folder}; remove the link, "
                "or replace it by a copy"
            )


def check_begun(folder: Path, or_empty: bool = False) -> None:
    """Raise ConfigError for anything but a run's folder, or an empty folder if that is allowed."""
    fix = "give the folder of a run, as --resume runs/NAME, or leave --resume out to start one"
    if not folder.exists():
        raise ConfigError(f"{folder} is not there; {fix}")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file, not the folder of a run; {fix}")
    if not (folder / CONFIG).is_file() and not (or_empty and not files_in(folder) - NOTHING_DONE):
        raise ConfigError(f"{folder} has no {CONFIG}, so it holds no run; {fix}")


def files_in(folder: Path) -> set[str]:
    """Return the names in a folder, without the remains of killed writes. Raises ConfigError."""
    try:
        return {path.name for path in folder.iterdir()} - {path.name for path in temporary_paths(folder)}
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read ({error.strerror}); allow it") from error


def taken(path: Path) -> str:
    """Return the message that a new run cannot have a name."""
    if (path / CONFIG).is_file():
        return f"{path} exists already; go on with it by --resume {quoted(path)}, or choose another name with --name"
    return f"{path} exists already and holds no run; choose another name with --name"


def quoted(path: Path) -> str:
    """Return a path as one types it in a shell."""
    return shlex.quote(str(path))


def remove_nothing_done(folder: Path) -> None:
    """Remove the folder of a run that has not finished anything. Other folders stay as they are."""
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= NOTHING_DONE:
            for name in NOTHING_DONE:
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()


def clear_diverged_run(folder: Path) -> None:
    """Remove a run that diverged. If it has finished models, keep them in a folder that is no run, and say where."""
    with suppress(OSError):
        for checkpoint in folder.glob("*.checkpoint"):
            checkpoint.unlink()
        remove_nothing_done(folder)
        if not folder.exists():
            return
        places = (folder.with_name(f"{folder.name}-diverged{number or ''}") for number in count())
        place = next(path for path in places if not os.path.lexists(path))
        os.rename(folder, place)
        os.rename(place / CONFIG, place / "diverged.toml")
        kept, teacher = ", ".join(sorted(files_in(place) - {LOCK})), place / "teacher.safetensors"
        again = f"; a new run need not train the teacher again: --teacher-weights {quoted(teacher)}"
        notice(f"what was there is kept in {place}, which is not a run: {kept}{again if teacher.exists() else ''}")


def remove_abandoned(parent: Path) -> None:
    """Remove folders that killed processes began to make here, but none that a process is making now."""
    for path in temporary_paths(parent):
        with suppress(OSError, ConfigError):  # already gone, or in use
            old = path.is_dir() and not path.is_symlink() and time.time() - path.stat().st_mtime > YOUNG
            if old and (lock := lock_folder(path)):
                remove_nothing_done(path)
                release(lock)
