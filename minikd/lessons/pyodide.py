"""Pyodide, the Python that runs in a page: its public address, or a local folder that is copied into a site."""

import hashlib
import json
import shutil
from pathlib import Path

from minikd.errors import ConfigError
from minikd.storage.reading import read_text

PUBLIC = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
"""The address from which pages load it by default. The pages were tested with this version."""

LOCK = "pyodide-lock.json"
"""Its list of packages, with the SHA-256 of each."""

CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", LOCK)
"""The files that it needs to start."""

BESIDE = "pyodide"
"""The folder of the site to which it is copied, next to the scripts."""

LIMIT = 2**24
"""A longer list of packages is not read, in bytes."""

FIX = "unpack Pyodide's release there, or leave --pyodide out: pages then load it from its public address"


def is_address(place: str) -> bool:
    """Return True for an address on the web, False for a folder."""
    return place.startswith(("https://", "http://"))


def check_folder(folder: Path) -> None:
    """Raise ConfigError if a file of Pyodide is missing, or a package has another hash than in its list."""
    missing = [name for name in CORE if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder} is not a folder of Pyodide: it has no {', '.join(missing)}; {FIX}")
    for file, digest in packages(folder).items():
        if (folder / file).is_file() and hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
            raise ConfigError(f"{folder / file} does not have the SHA-256 that {LOCK} gives; download it again")


def packages(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each package's file by its name, from the folder's list."""
    text = read_text(folder / LOCK, LIMIT, FIX, ConfigError)
    try:
        listed = json.loads(text)["packages"].values()
        return {Path(one["file_name"]).name: str(one["sha256"]) for one in listed}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder / LOCK} is not a list of Pyodide's packages ({error!r}); {FIX}") from error


def copy_pyodide(folder: Path, site_scripts: Path) -> str:
    """Copy Pyodide's files next to a site's scripts, and return their address relative to the scripts."""
    beside = site_scripts / BESIDE
    beside.mkdir(exist_ok=True)
    for name in (*CORE, *packages(folder)):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, beside / name)
    return f"{BESIDE}/"
