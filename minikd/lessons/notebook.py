"""Runs a lesson as a notebook, each cell with what it printed and drew."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

from minikd.errors import ConfigError
from minikd.lessons.lesson import OUTPUT, QUICK

MODULES = ("jupytext", "nbclient", "ipykernel", "markdown_it", "mdit_py_plugins", "latex2mathml", "pygments")
"""What the extra `lessons` brings."""

PATIENCE = 900
"""Seconds after which a cell is taken to hang; a whole lesson takes at most three minutes on two cores."""


class Output(TypedDict):
    """What a cell left: of the type stream, display_data, execute_result or error."""

    output_type: str
    name: NotRequired[str]
    text: NotRequired[str]
    data: NotRequired[dict[str, str]]
    traceback: NotRequired[list[str]]
    ename: NotRequired[str]
    evalue: NotRequired[str]


class NotebookCell(TypedDict):
    """A cell: Markdown, or code with its outputs."""

    cell_type: str
    source: str
    outputs: NotRequired[list[Output]]


class Notebook(TypedDict):
    """A notebook, of which we look at the cells."""

    cells: list[NotebookCell]


class Executed(NamedTuple):
    """A notebook that ran, and where it stopped: empty where it did not."""

    notebook: Notebook
    trouble: str


def require_extra() -> None:
    """Raise ConfigError where the extra `lessons` is not installed."""
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"not installed: {', '.join(missing)}; notebooks and pages of the lessons need the extra: "
            "pip install '.[lessons]' in minikd's repository"
        )


def execute(script: Path, folder: Path, quick: bool) -> Executed:
    """Run a lesson's script as a notebook in `folder`; its figures go to `folder`/output."""
    import jupytext
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    notebook: Notebook = jupytext.read(script)
    started: list[int] = []
    client = NotebookClient(
        notebook,
        timeout=PATIENCE,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=lambda cell, cell_index: started.append(cell_index),
        extra_arguments=["--log-level=ERROR"],  # not: that whoever is on this machine could listen to the kernel
    )
    environment = {**os.environ, QUICK: "1" if quick else "", OUTPUT: str((folder / "output").resolve())}
    try:
        client.execute(env=environment)
    except (CellControlSignal, DeadKernelError) as error:
        return Executed(notebook, trouble(notebook, started[-1], error))
    return Executed(notebook, "")


def trouble(notebook: Notebook, index: int, error: Exception) -> str:
    """Return which cell stopped a notebook, and why, in a line."""
    cell = notebook["cells"][index]
    raised = [one for one in cell.get("outputs", []) if one["output_type"] == "error"]
    why = f"{raised[0]['ename']}: {raised[0]['evalue']}" if raised else f"{type(error).__name__}: {error}"
    code = [line for line in cell["source"].splitlines() if line.strip()]
    return f"cell {index + 1}, which begins with `{code[0]}`, raised {why.strip().splitlines()[0]}"


def as_bytes(notebook: Notebook) -> bytes:
    """Return a notebook as the bytes of its file."""
    import nbformat

    text: str = nbformat.writes(notebook)
    return f"{text}\n".encode()
