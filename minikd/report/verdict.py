"""What the numbers say, in words that are as plain when distillation failed as when it worked."""

from minikd.report import units
from minikd.report.evidence import Results

SIGNIFICANT = 0.05
"""The p-value below which a difference is called one; the customary level, fixed before any run was made."""


def headline(results: Results) -> str:
    """Return the result in one short sentence."""
    baseline, distilled = results["student_baseline"]["errors"], results["student_distilled"]["errors"]
    images = f"{results['dataset']['test']:,} test images"
    if baseline == distilled:
        return f"Distillation made no difference: both students make {_errors(baseline)} on {images}"
    counts = f"{_errors(distilled)} instead of {baseline:,} on {images}"
    sure = results["mcnemar_p"] < SIGNIFICANT
    if distilled < baseline:
        return f"Distillation helped: {counts}" if sure else f"No proof that distillation helped: {counts}"
    return f"Distillation did harm: {counts}" if sure else f"Distillation did not help: {counts}"


def comparison(results: Results) -> str:
    """Return whether the distilled student beats the baseline, by how many errors, and how sure that is."""
    baseline, distilled = results["student_baseline"]["errors"], results["student_distilled"]["errors"]
    alone, taught = results["mcnemar"]["only_baseline_wrong"], results["mcnemar"]["only_distilled_wrong"]
    sure = results["mcnemar_p"] < SIGNIFICANT
    verb = ("beats" if sure else "is not clearly better than") if distilled < baseline else "does not beat"
    if distilled > baseline and sure:
        verb = "is worse than"
    difference = f"{abs(baseline - distilled):,} {'fewer' if distilled < baseline else 'more'}"
    if baseline == distilled:
        difference = "as many"
    chance = "" if sure else "; chance alone often makes such a difference"
    return (
        f"The distilled student {verb} the baseline, its twin trained on labels alone: {_errors(distilled)} "
        f"against {baseline:,} on {results['dataset']['test']:,} test images, {difference}. Only the baseline misses "
        f"{_images(alone)}, only the distilled student {taught:,} "
        f"(McNemar's exact test, {units.p_value(results['mcnemar_p'])}{chance})."
    )


def against_teacher(results: Results) -> str:
    """Return what the distilled student saves, and what it costs in errors."""
    teacher, student = results["teacher"], results["student_distilled"]
    parameters = _ratio(teacher["parameters"], student["parameters"], "fewer", "more")
    macs = _ratio(teacher["macs"], student["macs"], "fewer", "more")
    speed = _ratio(teacher["latency_ms"], student["latency_ms"], "faster", "slower")
    more = student["errors"] - teacher["errors"]
    cost = "as many errors" if more == 0 else f"{_errors(abs(more))} {'more' if more > 0 else 'fewer'}"
    return (
        f"Against the teacher, the distilled student has {parameters} parameters, does {macs} multiply-adds, "
        f"answers a single image {speed} and makes {cost}."
    )


def _ratio(teacher: float, student: float, less: str, more: str) -> str:
    """Return "4.1 times fewer", "2.0 times more", or that the two are about the same."""
    if min(teacher, student) <= 0 or units.times(max(teacher, student), min(teacher, student)) == "1.0":
        return "about as fast" if less == "faster" else "about as many"
    if student < teacher:
        return f"{units.times(teacher, student)} times {less}"
    return f"{units.times(student, teacher)} times {more}"


def _errors(number: int) -> str:
    return f"{number:,} error{'' if number == 1 else 's'}"


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"
