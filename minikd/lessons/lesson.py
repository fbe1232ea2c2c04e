"""A lesson while it runs. It checks every claim, prints it in a row, and saves its figure.

lesson = Lesson("03_linear_backward")
lesson.close("dx by loops = dy @ w", by_loops, dy @ w, within=1e-12)  # ok      dx by loops = dy @ w ... 2.2e-16
lesson.caught("a product that was not transposed", wrong, dx)         # caught  a product that was ..... 1.4e+00
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from minikd.console.terminal import stand_before_streams, standard_error
from minikd.lessons.rows import distance, row
from minikd.storage.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUICK, DATA, OUTPUT = "MINIKD_QUICK", "MINIKD_DATA", "MINIKD_LESSONS_OUTPUT"
"""Environment variables for notebooks, which have no command line: MINIKD_QUICK=1 means --quick, MINIKD_DATA=PATH means
--data PATH, and MINIKD_LESSONS_OUTPUT is the folder for figures."""

T = TypeVar("T")


@dataclass(frozen=True)
class SavedFigure:
    """A saved figure. A notebook shows it if it is the last line of a cell."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


class Lesson:
    """A lesson. name: that of its file, 03_linear_backward.

    quick: True with --quick, so that it takes seconds. data: the reader's data (--data) if the lesson accepts any
    (`own_data`), else mnist. output: the folder for figures and for files that later lessons use. It is `output` in the
    script's folder.
    """

    def __init__(self, name: str, own_data: bool = False) -> None:
        self.name, script = name, Path(sys.argv[0])
        as_script = script.stem == name
        self.quick, self.data = os.environ.get(QUICK) == "1", os.environ.get(DATA, "mnist") if own_data else "mnist"
        if as_script:
            stand_before_streams()
            asked = command_line(name, own_data)
            self.quick, self.data = asked.quick, asked.data
        beside = script.resolve().parent if as_script else Path.cwd()
        self.output = Path(os.environ.get(OUTPUT) or beside / "output")

    def pick(self, full: T, quick: T) -> T:
        """Return `full`, or `quick` with --quick: numbers of epochs, images or seeds."""
        return quick if self.quick else full

    def progress(self, items: Iterable[T], what: str) -> Iterator[T]:
        """Yield the items, with a progress bar on standard error."""
        from tqdm import tqdm

        yield from tqdm(items, what, file=standard_error(), leave=False, dynamic_ncols=True)

    def close(self, claim: str, got: object, want: object, within: float = 1e-12) -> None:
        """Claim that two results are equal up to a relative error, which the row shows.

        It is relative to the largest element of `want`. A scalar `want` is compared with each element. Raises
        AssertionError.
        """
        apart = distance(got, want)
        self._tell(claim, apart <= within, f"{apart:.1e}", f"they are {apart:.1e} apart, but must be within {within:g}")

    def true(self, claim: str, holds: object, shown: str = "") -> None:
        """Claim that something is true. `shown` is a number for the row. Raises AssertionError."""
        self._tell(claim, bool(holds), shown, f"it is false ({shown})" if shown else "it is false")

    def caught(self, bug: str, got: object, want: object, beyond: float = 1e-3) -> None:
        """Claim that a wrong version is caught: its result differs by more than `beyond` from the right one.

        Raises AssertionError if it does not, because a check that passes a bug proves nothing.
        """
        apart = distance(got, want)
        print(row(bug, "caught" if apart > beyond else "MISSED", f"{apart:.1e}"))
        if apart <= beyond:
            raise AssertionError(f"{self.name}: this bug was not caught, it is only {apart:.1e} off: {bug}")

    def save(self, figure: "Figure", name: str = "") -> SavedFigure:
        """Write a figure as PNG to the output folder, NN_name.png or NN_name-NAME.png, and print its path."""
        from minikd.report.figures import png

        path = self.output / f"{self.name}{f'-{name}' if name else ''}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, png(figure))
        print(f"figure: {os.path.relpath(path)}")
        return SavedFigure(path)

    def _tell(self, claim: str, holds: bool, shown: str, trouble: str) -> None:
        print(row(claim, "ok" if holds else "WRONG", shown))
        if not holds:
            raise AssertionError(f"{self.name}: {claim}: {trouble}")


def command_line(name: str, own_data: bool) -> argparse.Namespace:
    """Return the arguments of the lesson's command line: `quick` and `data`."""
    parser = argparse.ArgumentParser(f"{name}.py", description="A lesson of minikd: runs, checks itself, draws.")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: less data, fewer epochs")
    parser.set_defaults(data="mnist")
    if own_data:
        parser.add_argument("--data", help="your own data, as minikd's --data takes them (default: mnist)")
    return parser.parse_args()
