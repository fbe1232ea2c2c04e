"""The names of runs' folders: given names are checked, others are made from the data's name and the time."""

import os
import re
import time
from pathlib import Path

from minikd.errors import ConfigError

LONGEST = 200
"""The most bytes of a name. File systems allow 255, and the hidden name of the same folder is longer."""

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
"""Names of devices on Windows, also with a dot and anything after it."""


def check_name(name: str) -> str:
    """Return a name for a run's folder. Raises ConfigError for an invalid name, or one that leads elsewhere."""
    if why := name_problem(name):
        raise ConfigError(
            f"--name is {name!r}, but {why}; give a plain name, such as first-try, and the folder with --runs"
        )
    return name


def name_problem(name: str) -> str:
    """Return why a name cannot be a folder's name on every system, or "" if it can."""
    if not name.strip():
        return "it is empty"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it holds bytes that are no text"
    if size > LONGEST:
        return f"it is {size} bytes long, and may have {LONGEST}"
    if found := re.search(r'[/\\:*?"<>|]', name):
        return f"it holds {found[0]!r}, which separates folders or is reserved on some systems"
    if not name.isprintable():
        return "it holds a character that cannot be seen"
    if name[0] in ".-" or name[-1] in ". " or name != name.strip():
        return "it begins or ends with a dot, a dash or a space"
    return "it is a device's name on Windows" if name.split(".")[0].strip().lower() in RESERVED else ""


def default_name(data: str) -> str:
    """Return a name for a run on these data: the letters and digits of the data's name, and the time."""
    plain = re.sub(r"[^\w.+=-]+", "_", Path(os.path.abspath(data)).stem)[:40].strip("._-")
    return f"{plain or 'data'}-{time.strftime('%Y%m%d-%H%M%S')}"
