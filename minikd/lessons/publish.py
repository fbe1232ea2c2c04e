"""Writes the site with Sphinx (README, docs/, lessons, API reference), or the lessons as notebooks."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.errors import ConfigError, how_to_install
from minikd.lessons.lesson import QUICK
from minikd.lessons.library import LessonCard
from minikd.lessons.pyodide import check_folder, is_address
from minikd.storage.files import write_atomically

if TYPE_CHECKING:  # only the extra installs it
    from nbformat import NotebookNode

MODULES = ("sphinx", "furo", "myst_nb", "jupytext", "ipykernel", "latex2mathml")
"""The modules of the extra `lessons`."""

STANDARD_ERROR = 2

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
"""The kernelspec of a notebook. Without it, Jupyter asks the reader for a kernel."""

PYODIDE = "MINIKD_PYODIDE"
"""The environment variable with which docs/conf.py gets the address of Pyodide."""


def require_extra() -> None:
    """Raise ConfigError if the extra `lessons` is not installed."""
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"not installed: {', '.join(missing)}; the site and the notebooks need the extra: "
            + how_to_install("lessons")
        )


def write_site(lessons: Path, folder: Path, quick: bool, pyodide: str = "") -> bool:
    """Write the site to `folder`. Return True if every lesson ran to its end and every link has a target.

    Each lesson runs as a notebook; an unchanged lesson does not run again. Sphinx reports progress and warnings on
    standard error. pyodide: the https address from which pages load Pyodide, or a folder that is copied into the site;
    "" for the public address. Raises ConfigError if there is no docs folder next to the lessons, or if the folder of
    Pyodide is incomplete.
    """
    if pyodide and not is_address(pyodide):
        pyodide = str(Path(pyodide).resolve())
        check_folder(Path(pyodide))
    repository = lessons.resolve().parent
    if not (repository / "docs" / "conf.py").is_file():
        raise ConfigError(f"no docs/conf.py next to {lessons}: the site is built in a clone of minikd's repository")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", str(repository / "docs"), "-W", "--keep-going"]
    environment = {**os.environ, QUICK: "1" if quick else "", PYODIDE: pyodide}
    ended = subprocess.run([*command, str(repository), str(folder)], stdout=STANDARD_ERROR, env=environment)
    return ended.returncode == 0


def write_notebooks(cards: Sequence[LessonCard], folder: Path) -> None:
    """Write each lesson to `folder` as a notebook that has not run yet, with its exercise at the end."""
    import jupytext

    for card in cards:
        notebook = jupytext.read(card.path)
        notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
        notebook.cells += exercise_cells(card)
        text: str = jupytext.writes(notebook, "ipynb")
        write_atomically(folder / f"{card.name}.ipynb", f"{text}\n".encode())


def exercise_cells(card: LessonCard) -> "list[NotebookNode]":
    """Return the cells in which a reader writes and checks a lesson's exercise; none for a lesson without one."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    skeleton = card.path.parent / "exercises" / card.path.name
    if not skeleton.is_file():
        return []
    said = f"## Your solution\n\nWrite the functions in the next cell and run it: it saves them in `{skeleton.name}`."
    return [
        new_markdown_cell(f"{said} The last cell checks that file."),
        new_code_cell(f"%%writefile {skeleton.name}\n{skeleton.read_text(encoding='utf-8').rstrip()}"),
        new_code_cell(f"import sys\n\n!{{sys.executable}} -m minikd check {card.number:02} {skeleton.name}"),
    ]
