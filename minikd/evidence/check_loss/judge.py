"""The verdict on a loss: a row for each check, with the usual cause of each finding."""

import math
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from minikd.console.notices import notice
from minikd.evidence.check_loss import checks
from minikd.evidence.check_loss.formulas import HARD_TEACHER, RIGHT
from minikd.evidence.check_loss.identify import IdentifiedLoss, PointSizes, Powers, identify, points, powers, refit
from minikd.evidence.check_loss.subject import CallError, ExaminedLoss

OK, WRONG, NOTE, OUT = "ok", "WRONG", "note", "–"
"""The verdicts of a row: right, wrong, worth knowing, does not apply."""

SAME = 1e-3
"""Weights with a smaller relative difference count as equal."""


CALLS = 2_000
"""About how often a loss without autograd is called."""


class LossCheck(NamedTuple):
    """One check. `cause` names an entry of `causes.CAUSES`, "" for none."""

    check: str
    status: str
    found: str
    cause: str = ""


class IntendedLoss(NamedTuple):
    """What the user intends: reverse KL on purpose; alpha as the weight of the labels."""

    reverse_kl: bool = False
    alpha_of_labels: bool = False


USUAL = IntendedLoss()
"""What most users intend: forward KL, and alpha as the weight of the soft term."""


@dataclass(frozen=True)
class Verdict:
    """All rows; `ok` is true if no row is wrong."""

    subject: ExaminedLoss
    rows: tuple[LossCheck, ...]

    @property
    def ok(self) -> bool:
        return not any(row.status == WRONG for row in self.rows)


def judge_loss(subject: ExaminedLoss, wish: IntendedLoss = USUAL) -> Verdict:
    """Run every check on a loss. An error in the loss is a finding. Raises ConfigError if the checks cannot run."""
    try:
        subject, setting = checks.runnable(subject)
        if first := first_row(subject, setting):
            return Verdict(subject, (first,))
        tell_if_slow(subject, setting)
        subject = checks.with_precision(subject, setting)
        if found := checks.depends_on_the_student(subject, setting):
            return Verdict(subject, (LossCheck("gradient", WRONG, found, "constant"),))
        return Verdict(subject, tuple(all_rows(subject, setting, wish)))
    except CallError as error:
        said = str(error)
        cause = "per-sample" if "loss of shape" in said else "device" if "cuda" in said.lower() else ""
        return Verdict(subject, (LossCheck("it can be called", WRONG, said, cause),))


def first_row(subject: ExaminedLoss, setting: PointSizes) -> LossCheck | None:
    """Return the row of a finding after which no other check says anything; None if there is no such finding."""
    if found := checks.same_twice(subject, setting):
        return LossCheck("same loss twice", WRONG, found, "random")
    if found := checks.has_gradient(subject, setting):
        return LossCheck("gradient", WRONG, found, "no-gradient")
    if found := checks.finite_value(subject, setting):
        formula = identify(subject, setting)
        return LossCheck("value", WRONG, found, formula.soft.cause if formula and formula.soft else "not-finite")
    return None


def tell_if_slow(subject: ExaminedLoss, setting: PointSizes) -> None:
    """Give a notice before checks that take more than about a minute, as numeric gradients of a slow loss do."""
    start = time.perf_counter()
    by_autograd = subject(points(setting)[0]).student is not None
    seconds = time.perf_counter() - start
    if not by_autograd and seconds * CALLS > 60:
        notice(
            f"one call takes {seconds:.2g} s, and the checks need about {CALLS:,}: {seconds * CALLS / 60:.0f} minutes"
        )


def all_rows(subject: ExaminedLoss, setting: PointSizes, wish: IntendedLoss) -> list[LossCheck]:
    """Return the rows of all checks, for a loss that has a value and a gradient."""
    formula = identify(subject, setting)
    growth, of_labels = growth_with_alpha(subject, setting, formula)
    teacher_alone = 0.0 if growth < 0 or (growth == 0 and wish.alpha_of_labels) else 1.0
    is_kl = formula is not None and formula.soft is RIGHT[0]
    return [
        row_of_finding("inputs unchanged", checks.inputs_unchanged(subject, setting), "changes-inputs"),
        row_of_finding("gradient against numeric", *checks.against_numeric(subject, setting)),
        *rows_of_formula(subject, setting, formula, (growth, of_labels), wish),
        row_of_finding("each sample alone", checks.each_sample_alone(subject, setting), "wrong-axis"),
        *rows_of_properties(subject, setting, formula),
        row_of_finding("without labels", checks.without_labels(subject, setting, teacher_alone), "one-branch"),
        row_of_finding("sure networks", checks.sure_networks(subject, setting, teacher_alone, is_kl), "clipped-log"),
        overflow_row(checks.overflow(subject, setting)),
        row_of_finding("half precision", checks.half_precision(subject, setting), "half"),
        teacher_row(subject, setting),
    ]


def row_of_finding(check: str, found: str | None, cause: str) -> LossCheck:
    """Return a row. `found` is None if the check does not apply, "" if the loss is right, else the finding."""
    if found is None:
        return LossCheck(check, OUT, "")
    return LossCheck(check, WRONG, found, cause) if found else LossCheck(check, OK, "")


def rows_of_formula(
    subject: ExaminedLoss,
    setting: PointSizes,
    formula: IdentifiedLoss | None,
    growth: tuple[float, float],
    wish: IntendedLoss,
) -> list[LossCheck]:
    """Return the rows that need a known formula: the formula, and each factor of its terms."""
    if formula is None:
        return [
            LossCheck("formula", NOTE, "not a known one; the checks below test what must hold for every loss"),
            row_of_finding("mean over the batch", checks.mean_over_the_batch(subject, setting), "sum"),
        ]
    rows = [formula_row(formula, wish, setting)]
    if rows[0].status == WRONG:
        return rows
    soft, hard = powers(subject, setting, formula)
    rows.append(batch_row(formula, soft, hard))
    if formula.soft and formula.soft.name.startswith(("KL", "Jensen")):
        rows += [classes_row(formula, soft, hard, setting), temperature_row(formula, soft, hard, subject)]
    if subject.has("alpha") and formula.soft and formula.hard:
        rows.append(alpha_row(setting, formula, growth, wish))
    if formula.hard:
        rows.append(smoothing_row(formula, max(SAME, subject.tolerance)))
    return rows


def formula_row(formula: IdentifiedLoss, wish: IntendedLoss, setting: PointSizes) -> LossCheck:
    """Name the formula. A wrong formula, a wrong sign and a wrong base of the logarithm are findings."""
    terms = [term for term in (formula.soft, formula.hard) if term]
    named = " + ".join(term.name for term in terms)
    wrong = [term for term in terms if term.cause and not (term.cause == "swapped-arguments" and wish.reverse_kl)]
    if wrong:
        return LossCheck("formula", WRONG, f"it is {named}", wrong[0].cause)
    if formula.soft is None:
        return LossCheck("formula", WRONG, f"it is {named}, which does not depend on the teacher", "")
    if min(formula.soft_weight, formula.hard_weight) < -SAME:
        return LossCheck("formula", WRONG, f"it is {named}, with the wrong sign", "sign")
    in_bits = (one / math.log(2) for one in (1.0, setting.alpha, 1 - setting.alpha))
    if any(abs(formula.soft_weight - one) < SAME for one in in_bits):
        return LossCheck("formula", WRONG, f"it is {named} with logarithms of base 2", "log2")
    return LossCheck("formula", OK, named)


def batch_row(formula: IdentifiedLoss, soft: Powers, hard: Powers) -> LossCheck:
    """Check how both terms grow with the number of samples. Means do not grow."""
    for name, grown in (("the teacher's", soft.samples), ("the labels'", hard.samples)):
        if grown is not None and abs(grown) > 0.05:
            what = "grows" if grown > 0 else "falls"
            cause = "sum" if grown > 0 else "mean-twice"
            return LossCheck("mean over the batch", WRONG, f"{name} term {what} with the number of samples", cause)
    return LossCheck("mean over the batch", OK, "")


def classes_row(formula: IdentifiedLoss, soft: Powers, hard: Powers, setting: PointSizes) -> LossCheck:
    """Check how both terms grow with the number of classes."""
    if hard.classes is not None and abs(hard.classes + 1) < 0.05:
        found = "the labels' term is K times too small, 10 times for 10 classes"
        return LossCheck("sum over the classes", WRONG, found, "labels-class-mean")
    if soft.classes is None:
        of_mean = any(abs(formula.soft_weight * setting.classes - one) < SAME for one in (1.0, setting.alpha))
        if not of_mean:
            note = f"checked only for {setting.classes} classes: with another number, the loss does not run"
            return LossCheck("sum over the classes", NOTE, note)
    elif abs(soft.classes) < 0.05:
        return LossCheck("sum over the classes", OK, "")
    if soft.classes is None or abs(soft.classes + 1) < 0.05:
        return LossCheck(
            "sum over the classes",
            WRONG,
            "the teacher's term is K times too small, 10 times for 10 classes",
            "class-mean",
        )
    cause = "times-classes" if soft.classes > 0 else "class-mean"
    return LossCheck("sum over the classes", WRONG, f"the teacher's term grows as K^{soft.classes:g}", cause)


def temperature_row(formula: IdentifiedLoss, soft: Powers, hard: Powers, subject: ExaminedLoss) -> LossCheck:
    """Check that the teacher's term has the factor T², and that the labels' term does not."""
    if not subject.has("temperature"):
        T = formula.temperature
        if (
            T != 1
            and abs(formula.soft_weight * T * T - 1 + (formula.hard_weight if formula.hard_weight < 1 else 0)) < SAME
        ):
            return LossCheck("T²", WRONG, f"the teacher's term lacks T² (its T is {T:g})", "no-t-squared")
        return LossCheck(
            "T²", NOTE, f"the loss uses T = {T:g}; the teacher's term has weight {formula.soft_weight:.3g}"
        )
    grown = soft.temperature
    if grown is not None and abs(grown) > 0.05:
        cause = "no-t-squared" if grown <= -1.5 else "one-t" if grown < 0 else "too-many-t"
        return LossCheck("T²", WRONG, f"the gradient of the teacher's term has a wrong factor, T^{grown:g}", cause)
    if hard.temperature is not None and abs(hard.temperature) > 0.05:
        return LossCheck("T²", WRONG, f"the labels' term grows as T^{hard.temperature:g}", "labels-t-squared")
    return LossCheck("T²", OK, "")


def growth_with_alpha(
    subject: ExaminedLoss, setting: PointSizes, formula: IdentifiedLoss | None
) -> tuple[float, float]:
    """Return the slopes of the teacher's and the labels' weight over alpha; 0 for a constant or unknown one."""
    other = refit(subject, replace(setting, alpha=1 - setting.alpha), formula) if formula else None
    if formula is None or other is None:
        return 0.0, 0.0
    least = max(SAME, 4 * subject.tolerance)
    soft, hard = (
        (abs(here) - abs(there)) / (2 * setting.alpha - 1)
        for here, there in ((formula.soft_weight, other.soft_weight), (formula.hard_weight, other.hard_weight))
    )
    return soft if abs(soft) > least else 0.0, hard if abs(hard) > least else 0.0


def alpha_row(
    setting: PointSizes, formula: IdentifiedLoss, growths: tuple[float, float], wish: IntendedLoss
) -> LossCheck:
    """Check which term alpha weights: the teacher's term should grow with alpha, the labels' term should not."""
    growth, of_labels = growths
    if growth == 0:
        return LossCheck("alpha", NOTE, "alpha does not change the teacher's weight")
    if growth * of_labels > 0:
        return LossCheck("alpha", NOTE, "alpha multiplies both terms, so it does not balance them")
    if (growth > 0) != wish.alpha_of_labels:
        return LossCheck("alpha", OK, "")
    weights = f"the weights are {formula.soft_weight:.2g} (teacher) and {formula.hard_weight:.2g} (labels)"
    text = f"alpha is the weight of {'the teacher' if growth > 0 else 'the labels'}: at {setting.alpha:g}, {weights}"
    return LossCheck("alpha", WRONG, text, "alpha-swapped")


def smoothing_row(formula: IdentifiedLoss, least: float) -> LossCheck:
    """Check label smoothing. Applied twice, ε becomes 1 - (1 - ε)²."""
    found = formula.smoothing
    if abs(found) < least:
        return LossCheck("label smoothing", OUT, "")
    for once in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        if abs(found - (1 - (1 - once) ** 2)) < 1e-4:
            text = f"the labels are smoothed by {found:.4g} = 1 - (1 - {once:g})²: by {once:g}, twice"
            return LossCheck("label smoothing", WRONG, text, "smoothed-twice")
    return LossCheck("label smoothing", NOTE, f"the labels are smoothed by {found:.3g}")


def rows_of_properties(subject: ExaminedLoss, setting: PointSizes, formula: IdentifiedLoss | None) -> list[LossCheck]:
    """Return the rows of properties that every divergence between two softmaxes has."""
    of_logits = (
        formula is not None and formula.soft is not None and formula.soft.name == "squared difference of the logits"
    )
    of_its_class = formula is not None and formula.soft is HARD_TEACHER
    shift = None if of_logits else checks.constant_in_each_row(subject, setting)
    constant = row_of_finding("constant in each row", shift, "")
    if shift and formula is None:
        constant = constant._replace(status=NOTE, found=f"{shift}; after a softmax it should not")
    rows = [
        constant,
        row_of_finding(
            "zero at the teacher", None if of_its_class else checks.zero_at_the_teacher(subject, setting), ""
        ),
    ]
    if formula is None:
        rows.append(row_of_finding("high temperature", *checks.high_temperature(subject, setting)))
    return rows


def overflow_row(found: str) -> LossCheck:
    """Return the row of very large logits. It is only a note, because few networks have such logits."""
    return LossCheck("large logits", NOTE, f"{found}: use log_softmax") if found else LossCheck("large logits", OK, "")


def teacher_row(subject: ExaminedLoss, setting: PointSizes) -> LossCheck:
    """Say whether the loss sends a gradient to the teacher."""
    answer = subject(points(setting)[0])
    if not subject.uses_torch:
        return LossCheck("teacher's gradient", OUT, "")
    if answer.teacher is None or not np.abs(answer.teacher).max():
        return LossCheck("teacher's gradient", OK, "")
    return LossCheck(
        "teacher's gradient", NOTE, "it reaches teacher_logits: call the teacher under torch.no_grad(), or detach"
    )
