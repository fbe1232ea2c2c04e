"""Pyodide, the Python that runs in a page: its public address, or a folder of this machine that a site takes in."""

import hashlib
import json
import shutil
from pathlib import Path

from minikd.errors import ConfigError
from minikd.storage.reading import read_text

PUBLIC = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
"""Where pages load it from by default. The version is the one that the pages were tested with."""

LOCK = "pyodide-lock.json"
"""Its list of packages, with the SHA-256 of each."""

CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", LOCK)
"""What it needs to start."""

BESIDE = "pyodide"
"""The folder of the site that it is copied to, beside the scripts."""

LIMIT = 2**24
"""Bytes of the largest list of packages that is read."""

FIX = "unpack Pyodide's release there, or leave --pyodide out: pages then load it from its public address"


def is_address(place: str) -> bool:
    """Return whether a place is an address of the web, and no folder."""
    return place.startswith(("https://", "http://"))


def check_folder(folder: Path) -> None:
    """Raise ConfigError where a file that Pyodide needs is missing, or a package is not the one in its list."""
    missing = [name for name in CORE if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder} is not a folder of Pyodide: it has no {', '.join(missing)}; {FIX}")
    for file, digest in packages(folder).items():
        if (folder / file).is_file() and hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
            raise ConfigError(f"{folder / file} does not have the SHA-256 that {LOCK} gives; download it again")


def packages(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each package's file, by the file's name, as the folder's list has them."""
    text = read_text(folder / LOCK, LIMIT, FIX, ConfigError)
    try:
        listed = json.loads(text)["packages"].values()
        return {Path(one["file_name"]).name: str(one["sha256"]) for one in listed}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder / LOCK} is not a list of Pyodide's packages ({error!r}); {FIX}") from error


def take_in(folder: Path, site_scripts: Path) -> str:
    """Copy Pyodide's files beside a site's scripts; return their address, relative to the scripts."""
    beside = site_scripts / BESIDE
    beside.mkdir(exist_ok=True)
    for name in (*CORE, *packages(folder)):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, beside / name)
    return f"{BESIDE}/"
