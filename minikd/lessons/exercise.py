"""Checks a reader's exercise. Prints a row for each check; below a wrong one, the wrong element and the usual cause.

The checks of a lesson are a function `check(work)`. It knows what the reader's functions must return:

def check(work: Work) -> None:
    work.same("softmax", (logits, 4.0), want, suspects={"the temperature multiplies": softmax(logits * 4)})
    work.gradients("linear", "linear_backward", {"x": x, "w": w, "b": b})
"""

import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType

import numpy as np
import numpy.typing as npt

from minikd.console.layout import wrapped_lines
from minikd.evidence.gradcheck.learner_file import Passes, as_function
from minikd.evidence.gradcheck.learner_function import as_loss, check_passes
from minikd.evidence.gradcheck.report import GradientReport
from minikd.evidence.gradcheck.subjects import check_loss
from minikd.evidence.gradcheck.trial import Stopped, described_value, usual_cause
from minikd.lessons.rows import distance, row
from minikd.outside import place, run_file
from minikd.typing import Floats, Scalar

NEAR = 1e-6
"""A result with a smaller relative difference is that of a known mistake."""

WARNINGS = {
    "divide by zero encountered in log": "the logarithm of 0 is minus infinity: has a probability become 0?",
    "divide by zero": "something is divided by 0",
    "overflow encountered in exp": "exp of a large number is infinity: subtract the largest of the row first",
    "overflow": "a number became too large, so it is infinite",
    "invalid value": "infinity minus infinity, 0 times infinity and the logarithm of a negative number are NaN",
}
"""The meaning of NumPy's warnings. The first text that is in a warning counts."""


class Work:
    """A reader's file. `right`, `wrong` and `to_do` count the checks so far.

    `to_do` counts functions that are not written, and checks that wait for another function. `doubted`: the functions
    that were found wrong, in the order of the checks. Wrong work raises nothing: a row reports it, and the lines below
    give the reason. Raises ConfigError if the file cannot be run.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.names = path, vars(run_file(path))
        self.right = self.wrong = self.to_do = 0
        self.doubted: dict[str, None] = {}
        self.told: set[str] = set()

    def same(
        self,
        name: str,
        arguments: Sequence[object],
        want: object,
        *,
        claim: str = "",
        within: float = 1e-9,
        suspects: Mapping[str, object] | None = None,
        part: Callable[[object], object] | None = None,
    ) -> None:
        """Check that the function `name` returns `want` for these arguments, to within a relative error.

        claim: the row's text (default: the function's name). suspects: known mistakes with their results; if the
        reader's result is one of them, its mistake is printed. part: returns the part of the result that is compared,
        such as y of (y, cache).
        """
        claim = claim or f"{name} returns what it should"
        function = self._function(claim, name)
        if function is None:
            return
        warned: list[str] = []
        try:
            with warnings_in_words(warned):
                result: object = function(*map(read_only_copy, arguments))
            got = part(result) if part else result
            apart = distance(got, want)
        except Exception as error:
            self._raised(claim, name, error)
            return
        known = [f"→ {text}" for text, result in (suspects or {}).items() if distance(got, result) < NEAR]
        if apart <= within:
            self._tell(claim, "ok", f"{apart:.1e}", *warned)
        elif first := self._first_wrong(name):
            self._wait(claim, name, first)
        else:
            alone = part and isinstance(result, np.ndarray) and np.asarray(got).shape != np.asarray(want).shape
            why = (
                f"{name} returned {described_value(result)} alone, not a tuple"
                if alone
                else difference(name, got, want)
            )
            self._tell(claim, "WRONG", f"{apart:.1e}", why, *known, *warned)
            self.doubted[name] = None

    def gradients(
        self, forward: str, backward: str, inputs: Mapping[str, Floats], *, usual: str = "", **settings: object
    ) -> None:
        """Check backward(dy, cache) against numeric derivatives of forward(**inputs, **settings) -> (y, cache).

        Compares every element of every gradient; arrays of integers among the inputs are constants. usual: the usual
        cause, which is printed if a number is wrong. If `same` found a mistake in the forward function, this check
        waits, because the derivative would be that of the wrong function.
        """
        claim = f"{backward} is the derivative of {forward}"
        first = self._function(claim, forward)
        second = None if first is None else self._function(claim, backward)
        if first is None or second is None:
            return
        if forward in self.doubted:
            self._tell(claim, "waits", "", f"correct {forward} first, because its derivative is compared")
            return
        try:  # the first call finds functions that are not written yet
            with warnings_in_words([]):
                y, cache = first(**{name: a.copy() for name, a in inputs.items()}, **settings)
                second(np.ones_like(y), cache)
        except NotImplementedError as error:
            self._raised(claim, backward, error)
            return
        except Exception:
            pass  # the check below runs both again and explains the error
        try:
            report = check_passes(backward, partial(first, **settings), second, inputs, np.random.default_rng(0))
        except Stopped as stop:
            report = GradientReport(backward, findings=(stop.finding,))
        self._report(claim, backward, report, usual)

    def loss(self, name: str, logits: Floats, *others: object, usual: str = "") -> None:
        """Check that the function `name`, (logits, *others) -> (value, dlogits), returns the gradient of its value."""
        claim = f"the gradient of {name} is that of its value"
        function = self._function(claim, name)
        if function is None:
            return

        def loss(z: Floats) -> tuple[Scalar, Floats]:
            return as_loss(function)(z, *(read_only_copy(one, z.dtype) for one in others))

        try:
            with warnings_in_words([]):
                loss(logits)
        except Exception as error:
            self._raised(claim, name, error)
            return
        self._report(claim, name, check_loss(loss, logits, np.random.default_rng(0), full=True).named(name), usual)

    def _function(self, claim: str, name: str) -> Passes | None:
        """Return the reader's function of this name. If there is none, print a row and return None."""
        found = self.names.get(name)
        if callable(found):
            return as_function(found)
        self.doubted[name] = None
        self._tell(claim, "WRONG", "", f"{self.path.name} has no function {name}; the skeleton has it, with its shapes")
        return None

    def _first_wrong(self, name: str) -> str:
        """Return the first function that `name` calls and that was found wrong before; "" if there is none."""
        return next((one for one in called(name, self.names) if one != name and one in self.doubted), "")

    def _wait(self, claim: str, name: str, first: str) -> None:
        """Print the row of a check that waits for another function, and the reason if it is new."""
        why = f"{name} calls {first}, which is wrong: correct {first} first"
        self._tell(claim, "waits", "", *([] if why in self.told else [why]))
        self.told.add(why)

    def _raised(self, claim: str, name: str, error: Exception) -> None:
        if isinstance(error, NotImplementedError):
            self._tell(claim, "to do", "")
            return
        raised, where = f"{type(error).__name__}: {error}", place(error)
        inner = next((one for one in called(name, self.names) if f", in {one}: " in where and one != name), "")
        if inner and inner in self.doubted:
            self._wait(claim, name, inner)
            return
        self.doubted[name] = None
        if (same := f"{where} {raised}") in self.told:
            self._tell(claim, "WRONG", "", f"{name} raised the same {type(error).__name__} as above")
            return
        self.told.add(same)
        who = f"{name} called {inner}, which raised" if inner else f"{name} raised"
        self._tell(claim, "WRONG", "", f"{who} {raised} ({where}){usual_cause(error, 'forward')}")

    def _report(self, claim: str, name: str, report: GradientReport, usual: str) -> None:
        if report.ok:
            self._tell(claim, "ok", f"{report.relative_error:.1e}")
        else:
            self.doubted[name] = None
            by_value = all(finding.kind in ("element", "direction") for finding in report.findings)
            self._tell(claim, "WRONG", "", report.message, *([f"→ {usual}"] if usual and by_value else []))

    def _tell(self, claim: str, verdict: str, shown: str, *why: str) -> None:
        self.right += verdict == "ok"
        self.wrong += verdict == "WRONG"
        self.to_do += verdict in ("to do", "waits")
        print(row(claim, verdict, shown))
        for text in why:
            print(wrapped_lines(textwrap.indent(text, "    ")))


def called(name: str, names: Mapping[str, object]) -> Iterator[str]:
    """Yield the function `name` of a file, the functions that it calls, those that they call, and so on.

    A name in the code counts as called.
    """
    waiting, seen = [name], set[str]()
    while waiting:
        one = waiting.pop(0)
        function = names.get(one)
        if one not in seen and isinstance(function, FunctionType):
            seen.add(one)
            yield one
            waiting += sorted(names_in(function.__code__))


def names_in(code: CodeType) -> set[str]:
    """Return the global names in a function's code, and in functions inside it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(names_in, inner))


@contextmanager
def warnings_in_words(told: list[str]) -> Iterator[None]:
    """Hide NumPy's warnings about the reader's numbers, and append the meaning of each to `told`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        yield
    lines = ((str(one.message), f"{Path(one.filename).name}, line {one.lineno}") for one in caught)
    for message, where in dict.fromkeys(lines):
        meaning = next((words for start, words in WARNINGS.items() if start in message), "look at this line's numbers")
        told.append(f"NumPy warned, {where}: {message}. {meaning[0].upper()}{meaning[1:]}")


def read_only_copy(argument: object, dtype: npt.DTypeLike | None = None) -> object:
    """Return a read-only copy of an array, because a reader's function must not change its arguments."""
    if not isinstance(argument, np.ndarray):
        return argument
    mine = argument.astype(dtype if dtype is not None and argument.dtype.kind == "f" else argument.dtype)
    mine.flags.writeable = False
    return mine


def difference(name: str, got: object, want: object) -> str:
    """Return a sentence about the element at which two results differ most."""
    ours, theirs = np.asarray(got), np.asarray(want)
    theirs = theirs if theirs.ndim else np.full(ours.shape, theirs)
    if ours.shape != theirs.shape:
        return f"{name} returned {described_value(got)}, but must return the shape {theirs.shape}"
    off = np.abs(ours - theirs)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    at = f"[{', '.join(map(str, worst))}]" if worst else ""
    many = int(np.sum(~(off <= NEAR * np.max(np.abs(theirs)))))
    return (
        f"{many} of {off.size} elements differ; the worst is {name}(...){at}: "
        f"yours {ours[worst]:.8g}, but should be {theirs[worst]:.8g}"
    )
