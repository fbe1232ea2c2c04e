"""Runs a lesson's cells and its exercise's checks in a page: Python's side of docs/_static/run/worker.js."""

import ast
import importlib
import linecache
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from minikd.errors import MinikdError
from minikd.lessons.lesson import QUICK
from minikd.lessons.work import checked, exercises, summary

IMPORTED_LATE = {
    **{"matplotlib": "matplotlib", "scipy": "scipy", "PIL": "pillow", "msgspec": "msgspec", "tomli_w": "tomli-w"},
}
"""Modules that are loaded when they are first imported, and the names of their packages in Pyodide."""


class LateImports(MetaPathFinder):
    """Loads a package when it is first imported.

    `load` loads a package while Python waits for it. It returns False if Python cannot wait in this browser. Then the
    import fails, and `wanted` is the name of the package. When it is loaded, the cell runs again.
    """

    def __init__(self, load: Callable[[str], bool]) -> None:
        self.load, self.missing, self.wanted = load, dict(IMPORTED_LATE), ""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Load the package of a module that has not been loaded yet, and find the module in it."""
        if name not in self.missing or PathFinder.find_spec(name):
            return None
        if not self.load(self.missing[name]):
            self.wanted = self.missing[name]
            raise ModuleNotFoundError(f"{name} is being loaded", name=name)
        del self.missing[name]
        importlib.invalidate_caches()
        return PathFinder.find_spec(name)


class Cells:
    """The cells of one page. They share their variables, as in a notebook. Sizes are those of --quick."""

    def __init__(self, lessons: Path) -> None:
        self.lessons, self.names, self.runs = lessons, {"__name__": "__main__"}, Counter[int]()
        os.environ[QUICK] = "1"

    def run(self, code: str, place: int) -> object:
        """Run a cell and return the value of its last line if that is an expression: PNG bytes or text, else None.

        place: the cell's number on the page, for tracebacks.
        """
        self.runs[place] += 1
        file = f"<cell {place}>" if self.runs[place] == 1 else f"<cell {place}, run {self.runs[place]}>"
        linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file  # for tracebacks
        body = ast.parse(code, file)
        end = body.body[-1] if body.body else None
        last = end.value if isinstance(end, ast.Expr) else None
        if last:
            del body.body[-1]
        exec(compile(body, file, "exec"), self.names)
        value = eval(compile(ast.Expression(last), file, "eval"), self.names) if last else None
        as_png = getattr(value, "_repr_png_", None)
        return as_png() if as_png else None if value is None else repr(value)

    def check(self, name: str, code: str) -> None:
        """Print the results of an exercise's checks on a reader's code, as `minikd check` does."""
        if name not in exercises(self.lessons):
            raise MinikdError(f"there is no exercise {name}")
        file = Path(f"{name}.py")
        file.write_text(code, encoding="utf-8")
        linecache.checkcache()
        print(f"\n{summary(checked(self.lessons, name, file))}")


def error_text(error: BaseException) -> str:
    """Return the text of an error for a reader: a traceback that begins in the cell, or only minikd's message."""
    if isinstance(error, MinikdError) and in_cell(error) is None:
        return str(error)
    found = traceback.TracebackException.from_exception(error)
    first = in_cell(error)
    del found.stack[: len(found.stack) if first is None else first]
    return "".join(found.format()).rstrip()


def in_cell(error: BaseException) -> int | None:
    """Return the place in the traceback of the first frame in a cell."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((i for i, frame in enumerate(frames) if frame.filename.startswith("<cell ")), None)


def say_lines_at_once() -> None:
    """Show each line when it is printed, not at the end of the cell."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
