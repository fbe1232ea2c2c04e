"""Checks of lesson 15: on NumPy, then on a library that NumPy's functions cannot reach."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from minikd.lessons import Work
from minikd.lessons.elsewhere import Library, elsewhere

LIES = "the result is on the host: np.zeros, np.eye and np.arange always create arrays there"
WIDE = (
    "the result is float64: xp.zeros and xp.eye make float64 if you give no dtype; np.sqrt(2 / np.pi) is a NumPy "
    "float64, and makes the result float64; math.sqrt returns a Python float, which keeps the array's dtype"
)


def check(work: Work) -> None:
    """Check one_hot and gelu: values, the place where the result lies, and its dtype."""
    rng = np.random.default_rng(15)
    labels, x = rng.integers(0, 4, 7), 2 * rng.standard_normal((3, 5)).astype(np.float32)
    hot = np.eye(4)[labels]
    two_rows = np.where(hot > 0, 1.0, -1.0)
    mistakes = {"a row for each label: (N, K), not (K, N)": hot.T, "-1 instead of 0": two_rows}
    check_function(work, "one_hot", (labels, 4), hot, mistakes)
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3.0)
    want = 0.5 * x * (1 + np.tanh(inner))
    mistakes = {
        "the factor 1/2 is missing": 2 * want,
        "1 + is missing before tanh": 0.5 * x * np.tanh(inner),
        "x² instead of x³": 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**2.0))),
        "the root of 2/π is missing": 0.5 * x * (1 + np.tanh(2 / np.pi * (x + 0.044715 * x**3.0))),
    }
    check_function(work, "gelu", (x,), want, mistakes)


def check_function(
    work: Work, name: str, arguments: tuple[object, ...], want: object, mistakes: dict[str, object]
) -> None:
    """Check a function on NumPy, then elsewhere; `mistakes` are the suspects."""
    theirs = work.names.get(name)
    work.same(name, arguments, want, claim=f"{name}: the values, on NumPy", within=1e-6, suspects=mistakes)
    if not callable(theirs):
        return
    with elsewhere() as other:
        there = [other.asarray(one) if isinstance(one, np.ndarray) else one for one in arguments]
        looks: list[tuple[str, Callable[[object], object], object, dict[str, object]]] = [
            ("the values, with arrays of another library", other.asnumpy, want, mistakes),
            ("its result is in the same memory as its argument", lambda y: lies_there(y, other), 1.0, {LIES: 0.0}),
            (
                "its result is float32, with 4 bytes for each number",
                lambda y: other.asnumpy(y).itemsize,
                4.0,
                {WIDE: 8.0},
            ),
        ]
        for claim, look, wanted, suspects in looks:
            work.names[name] = through(theirs, look, work.path)
            right = work.right
            work.same(name, there, wanted, claim=f"{name}: {claim}", within=1e-6, suspects=suspects)
            if work.right == right:
                break  # the next looks would only say it again
    work.names[name] = theirs


def lies_there(y: object, library: Library) -> float:
    """Return 1 for an array of the library, 0 for any other."""
    return float(isinstance(y, library.ndarray))


def through(theirs: Callable[..., object], look: Callable[[object], object], file: Path) -> Callable[..., object]:
    """Return the reader's function with a look at its result; what it raises ends at the reader's line."""

    def call(*arguments: object) -> object:
        try:
            result = theirs(*arguments)
        except Exception as error:
            step, last = error.__traceback__, None
            while step is not None:
                last = step if Path(step.tb_frame.f_code.co_filename) == file else last
                step = step.tb_next
            if last is not None:
                last.tb_next = None  # what lies below is the stand-in's own code
            raise
        return look(result)

    return call
