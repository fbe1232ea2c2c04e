"""Runs the code under test: with read-only arguments, checked results, and exceptions turned into findings."""

from collections.abc import Callable, Mapping

import numpy as np

from minikd.evidence.gradcheck.numeric import NamedArrays
from minikd.evidence.gradcheck.report import Finding, gradient_name
from minikd.evidence.gradcheck.shapes import wrong_shape
from minikd.outside import place, raised
from minikd.typing import Floats

Forward = Callable[[NamedArrays], tuple[Floats, object]]
"""Takes the named arrays, returns the output and the cache."""

Backward = Callable[[Floats, object], Mapping[str, Floats]]
"""Takes the upstream gradient and the cache, returns the gradient of each named array."""


class Stopped(Exception):
    """The code under test cannot run any further. The finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


class FunctionUnderTest:
    """The function under test. It gets read-only arrays until it tries to write to one."""

    def __init__(self, forward: Forward, backward: Backward) -> None:
        self._forward, self._backward = forward, backward
        self._frozen = True
        self.findings: list[Finding] = []

    def note(self, kind: str, where: str, text: str) -> None:
        """Add a finding; each kind is reported once for each place."""
        if all((known.kind, known.where) != (kind, where) for known in self.findings):
            self.findings.append(Finding(kind, where, text))

    def forward(self, arrays: NamedArrays) -> tuple[Floats, object]:
        """Return y and the cache for (copies of) these arrays."""
        try:
            with np.errstate(all="ignore"):
                result: object = self._forward({name: self._own(a) for name, a in arrays.items()})
        except Stopped:
            raise
        except Exception as error:
            self._caught(error, "forward")
            return self.forward(arrays)
        if not isinstance(result, tuple) or len(result) != 2:
            found = described_value(result)
            text = (
                f"forward returned {found}; it must return the pair (y, cache), where the cache is all that backward "
                "will need"
            )
            raise Stopped(Finding("result", "forward", text))
        y = np.asarray(result[0])
        if not np.issubdtype(y.dtype, np.floating):
            text = f"forward returned {described_value(result[0])} as y; it must be an array of floats"
            raise Stopped(Finding("result", "forward", text))
        return y, result[1]

    def output(self, arrays: NamedArrays) -> Floats:
        """Return y alone."""
        return self.forward(arrays)[0]

    def backward(self, dy: Floats, cache: object) -> dict[str, Floats]:
        """Return the gradients by name, as the code under test gave them."""
        result: object = self._call_backward(dy, cache)
        if not isinstance(result, Mapping):
            text = f"backward returned {described_value(result)}; it must return the gradients"
            raise Stopped(Finding("result", "backward", text))
        return dict(result)

    def gradients(self, arrays: NamedArrays, dy: Floats) -> dict[str, Floats]:
        """Return the gradients at `arrays`, after a new forward pass."""
        frozen = self._frozen
        found = self.backward(dy, self.forward(arrays)[1])
        # A run that wrote to an argument may have changed the cache, so the passes run again with copies.
        return found if frozen == self._frozen else self.backward(dy, self.forward(arrays)[1])

    def check_gradients(self, found: Mapping[str, object], arrays: NamedArrays, samples: int) -> None:
        """Add a finding for every gradient that is missing, belongs to no array, or has a wrong shape or dtype."""
        shapes = {name: a.shape for name, a in arrays.items()}
        for name in found.keys() - arrays.keys():
            text = f"backward returned a gradient for {name!r}, but there is no such array: {', '.join(arrays)}"
            self.note("missing", name, text)
        for name, a in arrays.items():
            d, g = gradient_name(name), found.get(name)
            if name not in found:
                self.note("missing", name, f"backward returned no {d}: {name} {a.shape} is never trained")
            elif not isinstance(g, np.ndarray | np.floating):
                text = f"backward returned {described_value(g)} as {d}; it must be an array of shape {a.shape}"
                self.note("result", name, text)
            elif g.shape != a.shape:
                self.note("shape", name, wrong_shape(d, name, g.shape, shapes, samples))
            elif g.dtype != a.dtype:
                self.note("dtype", name, wrong_dtype(d, g.dtype, name, a.dtype))
            elif not np.isfinite(g).all():
                text = f"{d} holds NaN or infinity: look for a division by zero, log(0) or exp of a large number"
                self.note("finite", name, text)

    def _call_backward(self, dy: Floats, cache: object) -> object:
        try:
            with np.errstate(all="ignore"):
                return self._backward(self._own(dy), cache)
        except Stopped:
            raise
        except Exception as error:
            self._caught(error, "backward")
            return self._call_backward(dy, cache)

    def _own(self, a: Floats) -> Floats:
        mine = np.array(a, order="K")
        mine.flags.writeable = not self._frozen
        return mine

    def _caught(self, error: Exception, where: str) -> None:
        """Add a finding for a write to a read-only argument, so that the caller tries again with copies.

        Stop for other errors.
        """
        if self._frozen and isinstance(error, ValueError) and "read-only" in str(error):
            self._frozen = False
            text = f"{where} writes into an array that is not its own ({place(error)}): work on a copy"
            self.note("mutation", where, text)
            return
        text = f"{where} raised {raised(error)}"
        raise Stopped(Finding("error", where, text + usual_cause(error, where))) from error


def usual_cause(error: Exception, where: str) -> str:
    """Return what an exception usually means in this place, or ""."""
    text = str(error)
    if where == "backward" and "NoneType" in text:
        return "\n     It looks as if something was None: did forward return the cache that backward needs?"
    if where == "backward" and isinstance(error, AttributeError | KeyError | IndexError):
        return "\n     Does forward put into the cache all that backward takes out of it?"
    if "broadcast" in text:
        return "\n     Print the shapes on that line: they are compared from the last axis backwards, equal or 1."
    if "matmul" in text or "not aligned" in text:
        return "\n     Print the shapes on that line; (A, C) = (A, B) @ (B, C) is what a matrix product needs."
    return ""


def wrong_dtype(what: str, found: np.dtype[np.floating], beside: str, wanted: np.dtype[np.floating]) -> str:
    """Say that a dtype changed, and what usually changes it."""
    return (
        f"{what} is {found}, but {beside} is {wanted}: np.zeros(shape) and NumPy scalars are float64; "
        "use np.zeros_like(x), astype(x.dtype) and Python floats"
    )


def described_value(result: object) -> str:
    """Say what a function returned."""
    if result is None:
        return "None (is a return statement missing?)"
    if isinstance(result, np.ndarray):
        return f"an array of shape {result.shape} and dtype {result.dtype}"
    if isinstance(result, tuple):
        return f"a tuple of {len(result)}"
    kind = type(result).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
