"""The result of a gradient check, for tests, tables and readers."""

from dataclasses import dataclass, field, replace

from minikd.errors import GradientError
from minikd.typing import Shape


@dataclass(frozen=True)
class Finding:
    """One problem. `kind` is one word for programs, `text` is for people.

    Kinds: "error" (the code raised an exception), "result" (forward or backward returned something wrong), "missing" (a
    gradient is missing or belongs to no array), "shape", "dtype", "finite", "random" (two equal calls give two
    results), "mutation" (an argument was written to), "repeat" (a second backward differs), "layout" (memory order
    matters), "direction" (the random direction), "element" (full finite differences), "float32", "kink".
    """

    kind: str
    where: str
    text: str


@dataclass(frozen=True)
class ArgumentCheck:
    """One argument's gradient, element by element: by hand against numeric, with the worst element named."""

    name: str
    shape: Shape
    ok: bool
    worst: tuple[int, ...]
    by_hand: float
    numeric: float
    relative_error: float
    wrong: int
    diagnosis: tuple[str, ...] = ()


@dataclass(frozen=True)
class GradientReport:
    """The outcome of one check; `ok` is False if anything at all was found.

    `by_hand` is <Jᵀu, d> from the backward pass. `numeric` is <u, J d> from central differences with the step `step`,
    along one random direction d and for one random upstream gradient u. Both are NaN if the check stopped before.
    `arguments` holds the element-by-element comparison, if there was one.
    """

    name: str
    shapes: dict[str, Shape] = field(default_factory=dict)
    by_hand: float = float("nan")
    numeric: float = float("nan")
    relative_error: float = float("nan")
    bound: float = float("nan")
    step: float = float("nan")
    findings: tuple[Finding, ...] = ()
    arguments: tuple[ArgumentCheck, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.findings

    @property
    def message(self) -> str:
        """The whole report as text of several lines, for `assert report.ok, report.message`."""
        return explain(self)

    def named(self, name: str, *notes: str) -> "GradientReport":
        """Return the same report under another name, with more notes."""
        return replace(self, name=name, notes=(*self.notes, *notes))

    def expect_ok(self) -> "GradientReport":
        """Return this report, or raise `GradientError` with its message."""
        if not self.ok:
            raise GradientError(self.message)
        return self


def gradient_name(name: str) -> str:
    """Return the name of the gradient of the array `name`: dx, dweight, and d[0.weight] for a dotted name."""
    return f"d[{name}]" if "." in name else f"d{name}"


def explain(report: GradientReport) -> str:
    """Return the report as text for people: the verdict, the two numbers, then each finding with its explanation."""
    arrays = ", ".join(f"{name} {shape}" for name, shape in report.shapes.items())
    lines = [f"{report.name}: {'right' if report.ok else 'WRONG'}" + (f"   [{arrays}]" if arrays else "")]
    lines += [f"  {note}" for note in report.notes]
    shapeless = any(finding.kind == "shape" for finding in report.findings)  # a wrong shape has no error
    if report.relative_error == report.relative_error and not shapeless:
        lines.append(
            f"  along one random direction: by hand {report.by_hand:.10g}, numeric {report.numeric:.10g}, "
            f"relative error {report.relative_error:.1e} (bound {report.bound:.0e}, step {report.step:.0e})"
        )
    lines += [_argument(check) for check in report.arguments]
    right = [gradient_name(check.name) for check in report.arguments if check.ok]
    wrong = [gradient_name(check.name) for check in report.arguments if not check.ok]
    if right and wrong:
        lines.append(f"  So look at the lines that lead to {_listed(wrong)} and not to {_listed(right)}.")
    # These are already in the arguments' lines.
    told = {"element", "direction"} if any(not check.ok for check in report.arguments) else set()
    lines += [f"  - {finding.text}" for finding in report.findings if finding.kind not in told]
    return "\n".join(lines)


def _argument(check: ArgumentCheck) -> str:
    name = gradient_name(check.name)
    if check.ok:
        return f"  {name}: right, all {_elements(check.shape)} (largest relative error {check.relative_error:.1e})"
    at = f"[{', '.join(str(i) for i in check.worst)}]" if check.worst else ""
    lines = [
        f"  {name}: WRONG in {check.wrong} of {_elements(check.shape)}; the worst is {name}{at}: "
        f"by hand {check.by_hand:.8g}, numeric {check.numeric:.8g}"
    ]
    return "\n".join(lines + [f"      → {guess}" for guess in check.diagnosis])


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _elements(shape: Shape) -> str:
    count = 1
    for length in shape:
        count *= length
    return "1 element" if count == 1 else f"{count} elements"
