"""The path of a source, and whether it is a folder or a file."""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from minikd.checks import whole_number
from minikd.data.shown import is_text, shown
from minikd.errors import ConfigError, DataError

SIDES = ("height", "width")
Kind = Literal["folder", "file", "nothing"]


def located(source: str | Path) -> tuple[Path, Kind]:
    """Return the path of a source, with ~ as the home folder, and whether it is a folder or a file.

    Raises `DataError` if `source` is not a path, is not text (a run stores it in its configuration), is a pipe or a
    device, or cannot be read.
    """
    if not isinstance(source, str | os.PathLike) or not isinstance(os.fspath(source), str):
        raise DataError(f"the data are of type {type(source).__name__}, but must be a name or a path, such as 'mnist'")
    if not str(source) or not is_text(os.fspath(source)):
        raise DataError(
            f"the data's path '{shown(source)}' is empty or not valid text (UTF-8 without control characters); "
            "rename that folder or file, or give another"
        )
    try:
        path = Path(source).expanduser() if os.fspath(source).startswith("~") else Path(source)  # not for ./~x
        mode = path.stat().st_mode
    except RuntimeError as error:  # from `expanduser`
        raise DataError(
            f"the data's path {str(source)!r}: {str(error).rstrip('.')}; write the path of the home folder in full"
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


def checked_size(image_size: object) -> tuple[int, int] | None:
    """Return an image's height and width as whole numbers, or None. Raises `ConfigError` for impossible sizes."""
    if image_size is None:
        return None
    if isinstance(image_size, str) or not isinstance(image_size, Collection) or len(image_size) != 2:
        raise ConfigError(f"image_size is {image_size!r}, but must be a height and a width, as (28, 28)")
    height, width = (
        whole_number(side, f"image_size's {name}", 1) for side, name in zip(image_size, SIDES, strict=True)
    )
    if max(height, width) >= 2**31:
        raise ConfigError(f"image_size is {height}x{width}, but both sides must be below 2**31")
    return height, width
