"""The gradient check: compares a backward pass with finite differences of the forward pass, and checks its behaviour.

The check draws one random direction d over all inputs and parameters, and one random upstream gradient u. Then it
compares <u, J d>, from finite differences, with <Jᵀu, d>, from the backward pass. This takes only a few forward passes.
A wrong element changes the second number and not the first. If the numbers disagree, or with `full`, each element is
differenced, to find which one is wrong and why.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from minikd.evidence.gradcheck.diagnose import diagnose
from minikd.evidence.gradcheck.evidence import WrongGradient
from minikd.evidence.gradcheck.numeric import (
    ELEMENT_STEP,
    STEP,
    NamedArrays,
    Slope,
    jacobian,
    jacobian_row,
    moved_along,
    random_direction,
    slope,
)
from minikd.evidence.gradcheck.report import ArgumentCheck, GradientReport, gradient_name
from minikd.evidence.gradcheck.trial import Backward, Forward, FunctionUnderTest, Stopped, wrong_dtype
from minikd.typing import Floats

BOUND = 1e-7
"""The largest relative error of a right gradient along a random direction, in float64."""

ELEMENT_BOUND = 1e-6
"""The largest error of a right element, relative to the largest element of its array's gradient."""

FLOAT32_BOUND = 1e-3
"""The largest difference of float32's gradient from float64's, relative to the largest element."""

NEGLIGIBLE = 1e-2
"""If a gradient is smaller than this share of the function's largest gradient, its error is measured on the scale of
the largest. The bias of a convolution before batch norm has a gradient of exactly 0, so only rounding errors remain."""

JACOBIAN_LIMIT = 20_000_000
"""Maximum number of entries of the Jacobian in full finite differences, for each argument."""


def check_function(
    forward: Forward,
    backward: Backward,
    arrays: NamedArrays,
    rng: np.random.Generator,
    *,
    full: bool = False,
    constants: Mapping[str, float] | None = None,
) -> GradientReport:
    """Check `backward` against finite differences of `forward`, at the point `arrays`.

    `forward(arrays)` returns (y, cache), where y is an array or a scalar. `backward(dy, cache)` returns the gradient of
    every array by name. The arrays are converted to float64. The check covers: the shape, dtype and finiteness of each
    gradient; that no argument is written to; that the same call gives the same result, also two backward passes from
    one cache; the derivative along a random direction; that float32 stays float32 and agrees. Each problem is a
    separate finding.

    With `full`, or if the direction disagrees, every element is differenced. `constants`, such as a temperature T, help
    to name the factor by which a gradient is wrong. A wrong gradient raises no error; the report states it
    (`GradientReport.ok`, `GradientReport.message`, `GradientReport.expect_ok()`). `GradientReport.named` gives the
    report a name.
    """
    point = {key: np.asarray(a, np.float64) for key, a in arrays.items()}
    trial = FunctionUnderTest(forward, backward)
    shapes = {key: a.shape for key, a in point.items()}
    report = GradientReport("function", shapes, bound=BOUND, step=STEP)
    try:
        report = _check(trial, point, rng, report, full, constants or {})
    except Stopped as stop:
        trial.findings.append(stop.finding)
    return replace(report, findings=tuple(trial.findings))


class AtPoint(NamedTuple):
    """The function under test, the point where it is checked, and the upstream gradient."""

    trial: FunctionUnderTest
    point: NamedArrays
    dy: Floats


def _check(
    trial: FunctionUnderTest,
    point: NamedArrays,
    rng: np.random.Generator,
    report: GradientReport,
    full: bool,
    constants: Mapping[str, float],
) -> GradientReport:
    y = trial.output(point)
    if not np.isfinite(y).all():
        trial.note("finite", "forward", "forward's output holds NaN or infinity; no gradient of that can be checked")
        return report
    if y.dtype != np.float64:
        trial.note("dtype", "forward", f"y is {y.dtype}, but every input is float64: precision is lost on the way")
        return report
    if not np.array_equal(y, trial.output(point)):
        text = "two forward passes of the same input differ: randomness must come from the rng that forward receives"
        trial.note("random", "forward", text)
        return report
    dy = rng.standard_normal(y.shape) if y.shape else np.asarray(rng.uniform(0.5, 2.0))
    grads = trial.gradients(point, dy)
    trial.check_gradients(grads, point, len(dy) if dy.ndim else 1)
    usable = {key: grads[key] for key in point if key in grads and _like(grads[key], point[key])}
    here = AtPoint(trial, point, dy)
    _check_behaviour(here, usable)
    direction = random_direction({key: point[key] for key in usable}, rng)
    report, agrees = _compare_along(here, usable, direction, report)
    if full or not agrees:
        report = _element_by_element(here, usable, report, constants)
    if agrees and len(usable) == len(point):
        _check_float32(here, usable)
    return report


def _compare_along(
    here: AtPoint, grads: NamedArrays, direction: NamedArrays, report: GradientReport
) -> tuple[GradientReport, bool]:
    """Compare the derivatives along one direction, and add a finding if they disagree."""
    if not grads:
        return report, True
    terms = [(grads[key] * direction[key]).ravel() for key in grads]
    by_hand = float(sum(term.sum() for term in terms))
    length = math.sqrt(float(sum((term * term).sum() for term in terms)))
    scale = max(length, abs(by_hand), 1e-12)
    found = _slope(here, direction, report.step, report.bound * scale)
    # The sum over all elements may be small by chance, so the norm of its terms gives the scale.
    error = abs(by_hand - found.value) / max(scale, abs(found.value))
    agrees = error <= report.bound
    if not agrees and found.doubt > max(report.bound * scale, 0.01 * abs(by_hand - found.value)):
        text = (
            "the finite differences themselves do not settle, however small the step: the input sits on a kink or a "
            "tie, or forward jumps there"
        )
        here.trial.note("kink", "forward", text)
    elif not agrees:
        text = f"the gradient is wrong: along a random direction the relative error is {error:.1e}"
        here.trial.note("direction", "backward", text)
    report = replace(report, by_hand=by_hand, numeric=found.value, relative_error=error, step=found.step)
    return report, agrees


def _slope(here: AtPoint, direction: NamedArrays, step: float, doubt: float) -> Slope:
    trial, point, dy = here
    return slope(lambda t: float((trial.output(moved_along(point, direction, t)) * dy).sum()), step, doubt)


def _check_behaviour(here: AtPoint, grads: NamedArrays) -> None:
    """Add a finding if a backward pass changes its cache, or depends on the memory layout of its arguments."""
    trial, point, dy = here
    cache = trial.forward(point)[1]
    once, twice = trial.backward(dy, cache), trial.backward(dy, cache)
    if not all(np.array_equal(once[key], twice[key]) for key in grads):
        text = "backward run twice from one cache gives two results: it changes the cache or keeps something between"
        trial.note("repeat", "backward", text)
    strided = trial.gradients({key: np.asfortranarray(a) for key, a in point.items()}, np.asfortranarray(dy))
    if not all(_close(grads[key], strided.get(key), 1e-9) for key in grads):
        text = "the gradient changes when the same numbers lie in memory in another order (a transposed view)"
        trial.note("layout", "backward", text)


def _check_float32(here: AtPoint, grads: NamedArrays) -> None:
    """Add a finding if float32 becomes float64, or if the gradient in float32 is wrong."""
    trial, point, dy = here
    try:
        y, cache = trial.forward({key: a.astype(np.float32) for key, a in point.items()})
        if y.dtype != np.float32:
            text = wrong_dtype("y", y.dtype, "the input", np.dtype(np.float32))
            trial.note("float32", "forward", text)
            return
        found = trial.backward(dy.astype(np.float32), cache)
    except Stopped as stop:
        trial.note("float32", stop.finding.where, f"with float32 arrays, {stop.finding.text}")
        return
    noise = FLOAT32_BOUND * NEGLIGIBLE * _largest(grads.values())
    for key, wanted in grads.items():
        g = np.asarray(found.get(key))
        if g.dtype != np.float32:
            text = wrong_dtype(gradient_name(key), g.dtype, key, np.dtype(np.float32))
            trial.note("float32", key, text)
        elif not _close(wanted, g, FLOAT32_BOUND, noise):
            text = f"{gradient_name(key)} in float32 differs from float64's by {np.abs(g - wanted).max():.1e}"
            trial.note("float32", key, f"{text} (its largest element is {_largest([wanted]):.1e})")


def _element_by_element(
    here: AtPoint, grads: NamedArrays, report: GradientReport, constants: Mapping[str, float]
) -> GradientReport:
    """Difference every element of every argument. Add a finding for each wrong argument, with an explanation."""
    trial, point, dy = here
    rows: dict[str, Floats] = {}
    notes = list(report.notes)
    for key, g in grads.items():
        if g.size * dy.size > JACOBIAN_LIMIT:
            notes.append(f"{gradient_name(key)} was not differenced element by element: {g.size} elements are too many")
        elif g.size:
            rows[key] = jacobian(trial.output, point, key)
    numeric = {key: (rows[key] @ dy.ravel()).reshape(grads[key].shape) for key in rows}
    least = NEGLIGIBLE * _largest(numeric.values())
    checks = []
    for key, found in numeric.items():
        _refine_wrong_elements(here, key, grads[key], found, rows[key], least)
        check = _compare(key, grads[key], found, least)
        if not check.ok:
            others = {other: value for other, value in numeric.items() if other != key}
            evidence = WrongGradient(key, grads[key], found, rows[key], point, dy, trial, others, constants)
            check = replace(check, diagnosis=tuple(diagnose(evidence)))
            trial.note("element", key, f"{gradient_name(key)} is wrong in {check.wrong} of {grads[key].size} elements")
        checks.append(check)
    return replace(report, arguments=tuple(checks), notes=tuple(notes))


def _refine_wrong_elements(
    here: AtPoint, key: str, by_hand: Floats, numeric: Floats, rows: Floats, least: float
) -> None:
    """Difference the wrong elements again with a smaller step, in case of a kink within the step.

    Changes numeric, rows.
    """
    wrong = np.abs(numeric - by_hand) > ELEMENT_BOUND * max(_largest([numeric]), least)
    for index in np.flatnonzero(wrong):
        rows[index] = jacobian_row(here.trial.output, here.point, key, int(index), ELEMENT_STEP / 100)
        numeric.flat[index] = rows[index] @ here.dy.ravel()


def _compare(name: str, by_hand: Floats, numeric: Floats, least: float) -> ArgumentCheck:
    scale = max(_largest([numeric, by_hand]), least, 1e-9)
    error = np.abs(by_hand - numeric) / scale
    worst = tuple(int(i) for i in np.unravel_index(int(error.argmax()), error.shape))
    wrong = int((error > ELEMENT_BOUND).sum())
    largest = float(error.max())
    return ArgumentCheck(
        name, by_hand.shape, wrong == 0, worst, float(by_hand[worst]), float(numeric[worst]), largest, wrong
    )


def _like(g: object, a: Floats) -> bool:
    return isinstance(g, np.ndarray | np.floating) and g.shape == a.shape and bool(np.isfinite(g).all())


def _close(wanted: Floats, found: object, bound: float, noise: float = 0.0) -> bool:
    found = np.asarray(found)
    if found.shape != np.shape(wanted):
        return False
    return bool(np.allclose(found, wanted, rtol=0, atol=max(bound * _largest([wanted]), noise, 1e-12)))


def _largest(arrays: Iterable[Floats]) -> float:
    return max((float(np.abs(a).max(initial=0)) for a in arrays), default=0.0)
