"""Runs the cells that have no outcome on disk, in parallel, each in its own process with one thread.

joblib decides where they run: in processes on this machine, or, inside `joblib.parallel_config(backend="dask")` or
Ray's "ray", on a cluster whose machines see the same folder.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from pathlib import Path

from minikd.console.interrupts import children_ignore_ctrl_c
from minikd.console.notices import printed
from minikd.console.terminal import one_line, standard_error
from minikd.distillation.folder import check_links
from minikd.errors import ConfigError, ExperimentError, MinikdError
from minikd.evidence.experiments.cell import Cell, Outcome, Outcomes, read_outcome, run_cell
from minikd.outside import user_file_error
from minikd.storage.files import make_folder

WATCH, WATCH_SECONDS = "minikd: does the experiment live?", 0.2
"""The name of the thread in which a worker watches its parent, and the seconds between two checks."""


@dataclass
class Progress:
    """The present state of an experiment: the outcomes of finished cells, and the errors of failed ones, by key."""

    outcomes: Outcomes = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def run_cells(cells: Sequence[Cell], folder: Path, jobs: int, progress: Progress, quiet: bool = True) -> None:
    """Run the cells that have no outcome yet, and add all outcomes to `progress`.

    A cell that fails does not stop the others. It is reported with the reason, and so is each cell that needs it.
    Raises ConfigError if two cells have the same key or the folder holds outcomes of other recipes, and ExperimentError
    if a process is killed.
    """
    from joblib import Parallel, delayed

    check_keys(cells)
    todo = []
    for cell in cells:
        if old := read_outcome(cell, folder):
            progress.outcomes[cell.key] = old
        elif lacking := [key for key in cell.needs if key in progress.failed]:
            progress.failed[cell.key] = f"it needs {', '.join(lacking)}, which failed"
        else:
            todo.append(cell)
    if not todo:
        return
    make_folder(folder / "cells")
    check_links(folder / "cells")
    parallel = Parallel(n_jobs=min(jobs, len(todo)), return_as="generator_unordered", batch_size=1)
    here = os.getpid()
    ended: Iterable[tuple[str, Outcome | str]]
    with children_ignore_ctrl_c():
        ended = parallel(delayed(attempt)(cell, folder, here) for cell in todo)
    try:
        for key, found in bar(ended, len(todo), len(cells), quiet):
            if isinstance(found, str):
                progress.failed[key] = found
            else:
                progress.outcomes[key] = found
    except BrokenExecutor as error:
        raise ExperimentError(
            "a process was killed from outside, perhaps because memory was short; finished cells are kept: run the "
            "same command again, with fewer --jobs if memory is short"
        ) from error


def attempt(cell: Cell, folder: Path, experiment: int) -> tuple[str, Outcome | str]:
    """Return a cell's key with its outcome, or with the reason for its failure.

    experiment: the process number of the experiment; a worker process ends with it.
    """
    end_with(experiment)
    try:
        with printed():  # otherwise a worker process would print warnings in Python's form
            return cell.key, run_cell(cell, folder)
    except MinikdError as error:
        return cell.key, str(error)
    except Exception as error:  # after any error, the other cells must still run
        return cell.key, user_file_error(error) or f"{type(error).__name__}: {error}"


def end_with(parent: int) -> None:
    """Start to watch the parent if this process is its child. A worker on a cluster has another parent."""
    started = multiprocessing.parent_process()
    watched = any(thread.name == WATCH for thread in threading.enumerate())
    if started is not None and started.pid == parent and not watched:
        threading.Thread(target=watch_parent, args=(parent,), name=WATCH, daemon=True).start()


def watch_parent(parent: int) -> None:
    """End this process when its parent has ended, because its result is no longer needed."""
    import psutil

    while os.getppid() == parent and psutil.pid_exists(parent):  # Windows keeps the number of an ended parent
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def bar(
    ended: Iterable[tuple[str, Outcome | str]], todo: int, cells: int, quiet: bool
) -> Iterable[tuple[str, Outcome | str]]:
    """Yield results as cells end, and move a progress bar. A failed cell is reported immediately."""
    from tqdm import tqdm

    out = standard_error()
    often = 0.1 if out.isatty() else 5.0
    with tqdm(
        total=cells, initial=cells - todo, unit=" cells", disable=quiet, leave=False, mininterval=often, file=out
    ) as shown:
        for key, found in ended:
            if isinstance(found, str) and not quiet:
                shown.write(f"{key} failed: {one_line(found)}", file=out)
            shown.set_postfix_str(key, refresh=False)
            shown.update()
            yield key, found


def check_keys(cells: Sequence[Cell]) -> None:
    """Refuse two cells that would write the same file."""
    seen: dict[str, str] = {}
    for cell in cells:
        if cell.key in seen:
            raise ConfigError(f"{cell.name!r} and {seen[cell.key]!r} would both be {cell.key}; rename one")
        seen[cell.key] = cell.name
