"""Replaces threads and processes where Python has none, as in a page: all work is done in its only thread."""

import io
import runpy
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest.mock import patch

from minikd.training.parallel import can_start_threads

P = ParamSpec("P")
T = TypeVar("T")


def run_alone(script: Path, *arguments: Path) -> str:
    """Run a script in a new Python, without the current folder and the user's settings, and return what it prints.

    In a page it runs in this Python, which forgets minikd for that time.
    """
    words = [str(script), *map(str, arguments)]
    if not can_start_threads():
        return run_here(words)
    return subprocess.run([sys.executable, "-I", *words], capture_output=True, text=True, check=True).stdout.strip()


def run_here(words: list[str]) -> str:
    """Run a script in this Python, as if minikd had not been imported, and return what it prints."""
    others = {name: module for name, module in sys.modules.items() if name.partition(".")[0] != "minikd"}
    printed = io.StringIO()
    with patch.dict(sys.modules, others, clear=True), patch.object(sys, "argv", words), redirect_stdout(printed):
        runpy.run_path(words[0], run_name="__main__")
    return printed.getvalue().strip()


def one_worker() -> Executor:
    """Return a thread that does its work in order. In a page, the work is done when its result is read."""
    return ThreadPoolExecutor(max_workers=1) if can_start_threads() else LazyExecutor()


class LazyExecutor(Executor):
    """Does each piece of work when its result is read."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the piece of work without doing it."""
        return LazyFuture(partial(fn, *args, **kwargs))


class LazyFuture(Future[T]):
    """A result that is computed when it is read."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__()
        self.work = work

    def result(self, timeout: float | None = None) -> T:
        """Compute the result, once, and return it."""
        if not self.done():
            self.set_result(self.work())
        return super().result(timeout)
