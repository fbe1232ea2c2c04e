"""Identifies a loss's formula. Its gradient is a sum of two terms, so the gradients of known terms are fitted to it.

    dz = w_s · soft(z, v, T) + w_h · hard(z, y) + w_e · smoothing(z)

The weights are found by least squares over several random points. If the residual is 0, the formula and its factors are
known. The weights are fitted again with twice the samples, other classes, another T or another α. This shows by which
power of each they grow: with a mean over batch and classes, w_s falls as 1/K; with a missing T², it falls as 1/T².
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from minikd.errors import MinikdError
from minikd.evidence.check_loss.formulas import HARD, RIGHT, WRONG, Formula, HardFormula, smoothing
from minikd.evidence.check_loss.subject import CallError, ExaminedLoss, LossInputs
from minikd.typing import Floats

NO_WEIGHT = 1e-5
"""Weights below this are 0."""

TEMPERATURES = (1.0, *np.arange(1.5, 20.5, 0.5), 25.0, 30.0, 40.0, 50.0, 100.0)
"""The temperatures that are tried if the loss does not take its temperature as an argument."""


@dataclass(frozen=True)
class PointSizes:
    """The sizes and numbers of random points."""

    samples: int = 6
    classes: int = 5
    temperature: float = 2.0
    alpha: float = 0.7


class IdentifiedLoss(NamedTuple):
    """A formula with its weights. `soft` or `hard` is None if the loss has no such term."""

    soft: Formula | None
    hard: HardFormula | None
    soft_weight: float
    hard_weight: float
    smoothing: float
    temperature: float


def points(setting: PointSizes, count: int = 3) -> list[LossInputs]:
    """Return random points. Their logits differ enough that no two formulas look the same."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        shape = (setting.samples, setting.classes)
        labels = rng.integers(0, setting.classes, setting.samples)
        student, teacher = 2.0 * rng.standard_normal(shape), 3.0 * rng.standard_normal(shape)
        found.append(LossInputs(student, teacher, labels, setting.temperature, setting.alpha))
    return found


def gradient_of(subject: ExaminedLoss, point: LossInputs) -> Floats:
    """Return the gradient of the loss's value with respect to the student's logits: PyTorch's, or a numeric one."""
    answer = subject(point)
    return numeric_gradient(subject, point) if answer.student is None else answer.student


def numeric_gradient(subject: ExaminedLoss, point: LossInputs) -> Floats:
    """Return (L(z + h) - L(z - h)) / 2h for each element of the student's logits."""
    step = subject.step
    gradient: Floats = np.zeros_like(point.student)
    for index in np.ndindex(*point.student.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = point.student.copy()
            moved[index] += sign * step
            ends.append(subject(point._replace(student=moved)).value)
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def identify(subject: ExaminedLoss, setting: PointSizes) -> IdentifiedLoss | None:
    """Return the formula of a loss: the simplest one without a residual; None if no known formula fits."""
    at = points(setting)
    wanted = np.concatenate([gradient_of(subject, point).ravel() for point in at])
    length = float(np.linalg.norm(wanted))
    if not math.isfinite(length) or length == 0.0:
        return None
    for temperature in (setting.temperature,) if subject.has("temperature") else TEMPERATURES:
        for soft, hard in candidates(subject):
            found, left = fitted(wanted, [point._replace(temperature=temperature) for point in at], soft, hard)
            if left <= subject.tolerance * length:
                return found
    return None


def candidates(subject: ExaminedLoss) -> list[tuple[Formula | None, HardFormula | None]]:
    """Return the pairs of terms that may be the loss: those with fewer bugs first, and one term before two.

    Two terms also fit a loss of one term; the weight of the other is then only noise.
    """
    hards = (None, *HARD) if subject.has("labels") else (None,)
    pairs = [(soft, hard) for soft in (*RIGHT, *WRONG, None) for hard in hards if soft or hard]
    return sorted(pairs, key=lambda pair: (sum(bool(term and term.cause) for term in pair), -pair.count(None)))


def fitted(
    wanted: Floats, at: list[LossInputs], soft: Formula | None, hard: HardFormula | None
) -> tuple[IdentifiedLoss, float]:
    """Return the weights of two terms that fit `wanted` best, and the norm of the residual."""
    columns: dict[str, list[Floats]] = {}
    for z, v, y, T, _ in at:
        assert y is not None
        if soft:
            columns.setdefault("soft", []).append(soft.gradient(z, v, T))
        if hard:
            columns.setdefault("hard", []).append(hard.gradient(z, y, T))
            columns.setdefault("smoothing", []).append(smoothing(z))
    basis = np.stack([np.concatenate([part.ravel() for part in parts]) for parts in columns.values()], axis=1)
    solution = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    left = float(np.linalg.norm(basis @ solution - wanted))  # (P·N·K,) = (P·N·K, terms) @ (terms,)
    weights = dict(zip(columns, map(float, solution), strict=True))
    hard_weight, smooth = weights.get("hard", 0.0), weights.get("smoothing", 0.0)
    share = smooth / (hard_weight + smooth) if abs(hard_weight + smooth) > NO_WEIGHT else 0.0
    return IdentifiedLoss(soft, hard, weights.get("soft", 0.0), hard_weight + smooth, share, at[0].temperature), left


class Powers(NamedTuple):
    """The powers of T, N and K with which a term's weight grows; None if unknown."""

    temperature: float | None
    samples: float | None
    classes: float | None


def powers(subject: ExaminedLoss, setting: PointSizes, base: IdentifiedLoss) -> tuple[Powers, Powers]:
    """Return the powers of the soft and of the hard term's weight."""
    changes = {
        "temperature": replace(setting, temperature=3 * setting.temperature) if subject.has("temperature") else None,
        "samples": replace(setting, samples=2 * setting.samples),
        "classes": replace(setting, classes=2 * setting.classes),
    }
    both: list[dict[str, float | None]] = [{}, {}]
    for name, changed in changes.items():
        other = refit(subject, changed, base) if changed else None
        for of, before, after in zip(
            both,
            (base.soft_weight, base.hard_weight),
            (other.soft_weight, other.hard_weight) if other else (0.0, 0.0),
            strict=True,
        ):
            factor = getattr(changed, name) / getattr(setting, name) if changed else 1.0
            of[name] = round(math.log(after / before) / math.log(factor), 2) if before * after > 0 else None
    return Powers(**both[0]), Powers(**both[1])


def refit(subject: ExaminedLoss, setting: PointSizes, base: IdentifiedLoss) -> IdentifiedLoss | None:
    """Return the weights of the same formula at another setting; None if the formula does not fit there."""
    at = [point._replace(temperature=setting.temperature) for point in points(setting)]
    try:
        wanted = np.concatenate([gradient_of(subject, point).ravel() for point in at])
    except (CallError, MinikdError):  # for example, the loss takes only 10 classes
        return None
    own = setting.temperature if subject.has("temperature") else base.temperature
    found, left = fitted(wanted, [point._replace(temperature=own) for point in at], base.soft, base.hard)
    return found if left <= max(1e-3, subject.tolerance) * float(np.linalg.norm(wanted)) else None
