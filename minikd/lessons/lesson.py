"""A lesson while it runs: every claim is checked and printed in one row, and its figure is saved.

lesson = Lesson("03_linear_backward")
lesson.close("dx by loops = dy @ w", by_loops, dy @ w, within=1e-12)    # ... ok      2.2e-16
lesson.caught("a product that was not transposed", wrong, dx)           # ... caught  1.4e+00
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from minikd.console.terminal import stand_before_streams
from minikd.lessons.rows import distance, row
from minikd.storage.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUICK, DATA, OUTPUT = "MINIKD_QUICK", "MINIKD_DATA", "MINIKD_LESSONS_OUTPUT"
"""In a notebook there is no command line: MINIKD_QUICK=1 stands for --quick, MINIKD_DATA=PATH for --data PATH, and the
last names the folder of figures."""

T = TypeVar("T")


@dataclass(frozen=True)
class SavedFigure:
    """A saved figure; as the last line of a notebook's cell it is shown there."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


class Lesson:
    """A lesson by its name, as its file's: 03_linear_backward.

    quick: whether it was started with --quick, and takes seconds. data: the reader's own, if the lesson takes any
    (`own_data`) and --data names them, else mnist. output: the folder where its figures, and what later lessons want,
    are left: `output` beside the script.
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
        """Return the first, or with --quick the second: so many epochs, images, seeds."""
        return quick if self.quick else full

    def close(self, claim: str, got: object, want: object, within: float = 1e-12) -> None:
        """Claim that two results are equal to within a relative error; the row shows how near they are.

        Relative to the largest element of `want`; a scalar `want` is wanted of each element. Raises AssertionError.
        """
        apart = distance(got, want)
        self._tell(claim, apart <= within, f"{apart:.1e}", f"they are {apart:.1e} apart, but must be within {within:g}")

    def true(self, claim: str, holds: object, shown: str = "") -> None:
        """Claim whatever can be true or false; `shown` is the number behind it. Raises AssertionError."""
        self._tell(claim, bool(holds), shown, f"it is not so ({shown})" if shown else "it is not so")

    def caught(self, bug: str, got: object, want: object, beyond: float = 1e-3) -> None:
        """Claim that a wrong version is seen to be wrong: its result is further than `beyond` from the right one.

        Raises AssertionError where it is not: a check that passes a bug proves nothing.
        """
        apart = distance(got, want)
        print(row(bug, "caught" if apart > beyond else "MISSED", f"{apart:.1e}"))
        if apart <= beyond:
            raise AssertionError(f"{self.name}: this bug was not caught, it is only {apart:.1e} off: {bug}")

    def save(self, figure: "Figure", name: str = "") -> SavedFigure:
        """Write a figure as PNG to the output folder, NN_name.png or NN_name-NAME.png, and say where."""
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
    """Return what the lesson's own command line says: `quick`, and `data`."""
    parser = argparse.ArgumentParser(f"{name}.py", description="A lesson of minikd: runs, checks itself, draws.")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: less data, fewer epochs")
    parser.set_defaults(data="mnist")
    if own_data:
        parser.add_argument("--data", help="your own data, as minikd's --data takes them (default: mnist)")
    return parser.parse_args()
