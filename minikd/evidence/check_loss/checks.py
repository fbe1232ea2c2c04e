"""Checks of properties that every right distillation loss has.

A check returns "" if the property holds, else what it found. It returns None if it does not apply, for example because
the loss lacks an argument.
"""

from dataclasses import replace

import numpy as np

from minikd.errors import ConfigError
from minikd.evidence.check_loss.formulas import HARD, smoothing
from minikd.evidence.check_loss.identify import PointSizes, gradient_of, numeric_gradient, points
from minikd.evidence.check_loss.subject import CallError, ExaminedLoss, LossInputs
from minikd.evidence.differences import relative_distance

SILENT = 1e-9
"""A gradient with respect to a sample's logits counts as 0 below this."""


def runnable(subject: ExaminedLoss) -> tuple[ExaminedLoss, PointSizes]:
    """Return the loss and a setting at which it runs: with 5 or 10 classes, with class numbers or one-hot labels.

    Raises the first CallError if it runs at none.
    """
    first = None
    for one_hot in (False, True) if subject.has("labels") else (False,):
        for classes in (5, 10):
            tried, setting = replace(subject, one_hot=one_hot), PointSizes(classes=classes)
            try:
                tried(points(setting)[0])
                return tried, setting
            except CallError as error:
                first = first or error
    assert first is not None
    raise first


def with_precision(subject: ExaminedLoss, setting: PointSizes) -> ExaminedLoss:
    """Return the loss with the step and tolerance that fit its precision. In float32, small steps change nothing.

    Raises ConfigError for a loss in float16 without autograd: no step fits it.
    """
    point = points(setting)[0]
    direction = np.random.default_rng(0).standard_normal(point.student.shape)

    def slope(step: float) -> float:
        ends = [subject(point._replace(student=point.student + sign * step * direction)).value for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    def resolves(step: float) -> bool:
        return abs(slope(step) - slope(0.1)) <= 0.2 * abs(slope(0.1))

    if not np.isfinite(slope(0.1)) or resolves(1e-9):
        return subject
    if resolves(1e-3):
        return replace(subject, step=0.02, tolerance=5e-3)
    if subject(point).student is None:
        raise ConfigError(f"{subject.name} computes with about 3 digits, too few to check it; compute in float32")
    return replace(subject, tolerance=0.05)


def same_twice(subject: ExaminedLoss, setting: PointSizes) -> str:
    """The same inputs give the same loss."""
    first, second = (subject(points(setting)[0]).value for _ in range(2))
    same = np.isclose(first, second, rtol=1e-9, atol=0, equal_nan=True)
    return "" if same else f"the same inputs give {first:.6g}, then {second:.6g}"


def inputs_unchanged(subject: ExaminedLoss, setting: PointSizes) -> str:
    """The loss leaves its inputs as they are."""
    changed = subject(points(setting)[0]).changed
    return f"it changes {' and '.join(subject.arguments[role] for role in changed)} in place" if changed else ""


def finite_value(subject: ExaminedLoss, setting: PointSizes) -> str:
    """The loss is a number at ordinary logits."""
    value = subject(points(setting)[0]).value
    return "" if np.isfinite(value) else f"the loss is {value} at ordinary logits"


def has_gradient(subject: ExaminedLoss, setting: PointSizes) -> str:
    """PyTorch has a gradient with respect to the student's logits."""
    answer = subject(points(setting)[0])
    if subject.uses_torch and answer.student is None and answer.returned is None:
        return "the loss has no gradient with respect to the student's logits"
    return ""


def depends_on_the_student(subject: ExaminedLoss, setting: PointSizes) -> str:
    """The loss changes with the student's logits."""
    changes = gradient_of(subject, points(setting)[0]).any()
    return "" if changes else "the loss does not change with the student's logits"


def against_numeric(subject: ExaminedLoss, setting: PointSizes) -> tuple[str | None, str]:
    """The returned gradient is the derivative of the returned value. Returns the finding and its cause."""
    point = points(setting)[0]
    returned = subject(point).returned
    if returned is None or subject.tolerance > 0.01:  # too coarse for numeric gradients
        return None, ""
    numeric = numeric_gradient(subject, point)
    if relative_distance(returned, numeric) < subject.tolerance:
        return "", ""
    ratio = float(np.vdot(returned, numeric) / np.vdot(numeric, numeric))
    if relative_distance(returned, ratio * numeric) < subject.tolerance:
        cause = {-1.0: "gradient-sign", setting.samples: "gradient-sum"}.get(round(ratio, 2), "gradient")
        found = f"the returned gradient is {ratio:.4g} times that of the returned value"
        return f"{found} (T is {setting.temperature:g}, {setting.samples} samples, {setting.classes} classes)", cause
    worst = np.unravel_index(np.abs(returned - numeric).argmax(), numeric.shape)
    where = f"at sample {worst[0]}, class {worst[1]}"
    return f"{where} it returns {returned[worst]:.4g}, numeric is {numeric[worst]:.4g}", "gradient"


def mean_over_the_batch(subject: ExaminedLoss, setting: PointSizes) -> str:
    """A batch that contains each sample twice has the same loss as the batch."""
    point = points(setting)[0]
    once, twice = subject(point).value, subject(doubled(point)).value
    return (
        ""
        if abs(once - twice) <= subject.tolerance * max(abs(once), abs(twice))
        else (f"the same samples twice have a loss {twice / once:.3g} times as large")
    )


def doubled(point: LossInputs) -> LossInputs:
    """Return a batch with each sample twice."""
    labels = None if point.labels is None else np.tile(point.labels, 2)
    return point._replace(student=np.tile(point.student, (2, 1)), teacher=np.tile(point.teacher, (2, 1)), labels=labels)


def each_sample_alone(subject: ExaminedLoss, setting: PointSizes) -> str | None:
    """A sample's gradient does not depend on other samples in the batch, unless the loss says that it compares them."""
    if getattr(subject.function, "across_batch", False):
        return None
    point = points(setting)[0]
    other = point._replace(student=point.student.copy(), teacher=point.teacher.copy())
    other.student[1:] = other.student[:0:-1]
    other.teacher[1:] = 2.0 * other.teacher[:0:-1]
    here, there = (gradient_of(subject, one)[0] for one in (point, other))
    alike = relative_distance(here, there) < subject.tolerance
    return "" if alike else "the gradient of a sample depends on the other samples in its batch"


def constant_in_each_row(subject: ExaminedLoss, setting: PointSizes) -> str:
    """A constant added to all logits of a sample changes nothing, for the student and for the teacher."""
    point = points(setting)[0]
    shift = np.arange(setting.samples, dtype=np.float64)[:, None]
    before = gradient_of(subject, point)
    for who in ("student", "teacher"):
        moved = point._replace(**{who: getattr(point, who) + shift})
        if relative_distance(gradient_of(subject, moved), before) > subject.tolerance:
            return f"a constant added to all logits of a sample of the {who} changes the gradient"
    return ""


def zero_at_the_teacher(subject: ExaminedLoss, setting: PointSizes) -> str:
    """If the student equals its teacher, the gradient of the teacher's term is 0."""
    point = points(setting)[0]
    same = point._replace(student=point.teacher.copy())
    gradient, scale = gradient_of(subject, same).ravel(), np.linalg.norm(gradient_of(subject, point))
    if subject.has("labels") and point.labels is not None:
        hard = [term.gradient(same.student, point.labels, setting.temperature) for term in HARD]
        basis = np.stack([part.ravel() for part in (*hard, smoothing(same.student))], axis=1)
        gradient = gradient - basis @ np.linalg.lstsq(basis, gradient, rcond=None)[0]  # (N·K,) = (N·K, 4) @ (4,)
    left = float(np.linalg.norm(gradient) / scale)
    return (
        ""
        if left < subject.tolerance
        else f"a student equal to its teacher still gets {left:.2g} times an ordinary gradient"
    )


def high_temperature(subject: ExaminedLoss, setting: PointSizes) -> tuple[str | None, str]:
    """For large T the teacher's part of the gradient tends to a limit, not 0 (Hinton et al. 2015, equation 4).

    Returns the finding and its cause.
    """
    if not subject.has("temperature"):
        return None, ""
    point = points(setting)[0]
    other = point._replace(teacher=point.teacher[::-1].copy())
    by_teacher = [
        float(
            np.linalg.norm(np.subtract(*(gradient_of(subject, one._replace(temperature=T)) for one in (point, other))))
        )
        for T in (100.0, 300.0)
    ]
    grown = by_teacher[1] / by_teacher[0] if by_teacher[0] else 0.0
    if 0.5 < grown < 2:
        return "", ""
    found = f"from T = 100 to 300, the teacher's part of the gradient is multiplied by {grown:.2g}"
    return found, "times-temperature" if grown > 1 else "no-t-squared"


def without_labels(subject: ExaminedLoss, setting: PointSizes, alpha: float) -> str | None:
    """Without labels, the teacher's term is the same as at this alpha, where only this term counts."""
    if not (subject.has("labels") and subject.has("alpha")):
        return None
    point = points(setting)[0]
    alone = gradient_of(subject, point._replace(alpha=alpha))
    try:
        bare = gradient_of(subject, point._replace(labels=None))
    except CallError:  # it needs labels
        return None
    ratio = float(np.vdot(bare, alone) / np.vdot(alone, alone)) if alone.any() else 0.0
    if relative_distance(bare, ratio * alone) > subject.tolerance or any(
        abs(ratio - one) < max(1e-4, subject.tolerance) for one in (1.0, setting.alpha, 1 - setting.alpha)
    ):
        return ""  # other checks find a wrong formula, and keeping the weight is a choice
    return f"without labels the gradient is {ratio:.3g} times that of the teacher's term (T is {setting.temperature:g})"


def sure_networks(subject: ExaminedLoss, setting: PointSizes, alpha: float, is_kl: bool) -> str:
    """If a sure student contradicts a sure teacher, the gradient is finite, and for KL it is not 0.

    A clipped logarithm has no gradient there. Other divergences become flat and may have no gradient.
    """
    point = large(points(setting)[0], 60.0)._replace(alpha=alpha)
    answer = subject(point, "float32")
    if not np.isfinite(answer.value):
        return f"the loss is {answer.value} for logits that are 60 apart"
    found = answer.student if answer.student is not None else answer.returned
    gradient = gradient_of(subject, point) if found is None else found
    if not np.isfinite(gradient).all():
        return "the gradient is not finite for logits that are 60 apart"
    still = is_kl and (np.abs(gradient).max(axis=1) < SILENT).any()
    return "the gradient vanishes where a sure student contradicts a sure teacher" if still else ""


def overflow(subject: ExaminedLoss, setting: PointSizes) -> str:
    """Logits that differ by 200 give a finite loss in float32."""
    value = subject(large(points(setting)[0], 200.0), "float32").value
    return "" if np.isfinite(value) else f"in float32 the loss is {value} for logits that are 200 apart"


def large(point: LossInputs, gap: float) -> LossInputs:
    """Return a point at T = 1 where the networks are sure of different classes; their logits differ by `gap`."""
    samples, classes = point.student.shape
    row = np.arange(samples)
    student, teacher = 0.1 * point.student, 0.1 * point.teacher
    student[row, row % classes] += gap
    teacher[row, (row + 1) % classes] += gap
    return point._replace(student=student, teacher=teacher, temperature=1.0)


def half_precision(subject: ExaminedLoss, setting: PointSizes) -> str | None:
    """In float16, at ordinary logits, the gradient is right to a few per cent."""
    point = points(setting)[0]
    try:
        answer = subject(point, "float16")
    except CallError:  # this processor or the loss cannot compute in float16
        return None
    if not np.isfinite(answer.value):
        return f"in float16 the loss is {answer.value}"
    gradient = answer.student if answer.student is not None else answer.returned
    if gradient is None:
        return ""
    exact = subject(point).returned  # another check compares this with the numeric gradient
    off = relative_distance(gradient, gradient_of(subject, point) if exact is None else exact)
    return "" if off < 0.05 else f"in float16 the gradient is off by {off:.0%} of its length"
