"""Where a source lies on the disk, and whether it is a folder or a file."""

import os
import stat
from operator import index
from pathlib import Path
from typing import Literal

from minikd.data.shown import is_text, shown
from minikd.errors import ConfigError, DataError

Kind = Literal["folder", "file", "nothing"]


def located(source: str | Path) -> tuple[Path, Kind]:
    """Return the path of a source, with ~ as the home folder, and what is there.

    Raises `DataError` for a path that is no text, since a run keeps it in its configuration, for a pipe or a device,
    and for what cannot be looked at.
    """
    if not isinstance(source, str | os.PathLike) or not isinstance(os.fspath(source), str):
        raise DataError(f"the data are of type {type(source).__name__}, but must be a name or a path, such as 'mnist'")
    if not str(source) or not is_text(os.fspath(source)):
        raise DataError(
            f"the data's path '{shown(source)}' is empty or no text (UTF-8 without control characters); rename that "
            "folder or file, or give another"
        )
    try:
        path = Path(source).expanduser()
        mode = path.stat().st_mode
    except RuntimeError as error:  # of `expanduser`
        raise DataError(
            f"the data's path {str(source)!r}: {str(error).rstrip('.')}; write the home folder out"
        ) from error
    except (FileNotFoundError, NotADirectoryError):
        return path, "nothing"
    except OSError as error:
        raise DataError(
            f"{source} cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from error
    if stat.S_ISDIR(mode):
        return path, "folder"
    if stat.S_ISREG(mode):
        return path, "file"
    raise DataError(f"{path} is a pipe, a socket or a device; give a file or a folder")


def check_image_size(image_size: tuple[int, int] | None) -> None:
    """Refuse what is no height and width, and a side that no image can have. Raises `ConfigError`."""
    if image_size is None:
        return
    try:
        height, width = map(index, image_size)
    except (TypeError, ValueError) as error:  # no numbers, no whole ones, or not two
        raise ConfigError(
            f"image size is {image_size!r}, but must be a height and a width in pixels, such as (28, 28)"
        ) from error
    if not (min(height, width) >= 1 and max(height, width) < 2**31):
        raise ConfigError(f"image size is {height}x{width}, but both sides must be at least 1 pixel, and below 2**31")
