"""The verdict in words, whether distillation helped or not."""

import math

from minikd.console import units
from minikd.distillation.results import MODELS, ModelResult, Results
from minikd.report.diagnosis import diagnosis

SIGNIFICANT = 0.05
"""A difference with a smaller p-value counts as a difference. It is the usual level, chosen before any run."""

FEWEST = 6
"""With fewer images that only one of two students misses, no difference can be significant: 2 / 2^5 is 0.06."""


def recommended(results: Results) -> str:
    """Return the key of the student to use."""
    return better_student(results["student_baseline"], results["student_distilled"])


def better_student(baseline: ModelResult, distilled: ModelResult) -> str:
    """Return the key of the better student: the distilled one if it makes fewer errors, else the baseline."""
    return "student_distilled" if distilled["errors"] < baseline["errors"] else "student_baseline"


def headline(results: Results) -> str:
    """Return the result in one short sentence that names the better student first."""
    baseline, distilled = results["student_baseline"]["errors"], results["student_distilled"]["errors"]
    images = f"{results['dataset']['test']:,} test images"
    if baseline == distilled:
        return f"Distillation made no difference: both students make {units.errors(baseline)} on {images}"
    counts = f"{units.errors(distilled)} instead of {baseline:,} on {images}"
    sure = results["mcnemar_p"] < SIGNIFICANT
    if distilled < baseline:
        return f"Distillation helped: {counts}" if sure else f"No proof that distillation helped: {counts}"
    if not sure:
        return f"Distillation did not help: {counts}"
    return f"Use the baseline: it makes {units.errors(baseline)}, the distilled student {distilled:,}, on {images}"


def sentences(results: Results) -> list[str]:
    """Return the verdict: which student is better, and why; which weights to use, and what they save."""
    told = comparison(results), diagnosis(results, _clearly_better(results)), advice(results), against_teacher(results)
    return [sentence for sentence in told if sentence]


def comparison(results: Results) -> str:
    """Return which student is better, by how many errors, and how certain that is."""
    baseline, distilled = results["student_baseline"]["errors"], results["student_distilled"]["errors"]
    alone, taught = results["mcnemar"]["only_baseline_wrong"], results["mcnemar"]["only_distilled_wrong"]
    sure = results["mcnemar_p"] < SIGNIFICANT
    verb = ("beats" if sure else "is not clearly better than") if distilled < baseline else "does not beat"
    if distilled > baseline and sure:
        verb = "is worse than"
    difference = f"{abs(baseline - distilled):,} {'fewer' if distilled < baseline else 'more'}"
    if baseline == distilled:
        difference = "as many"
    difference += range_of(results)
    chance = "" if sure or baseline == distilled else "; chance alone often makes such a difference"
    if 0 < alone + taught < FEWEST:
        chance = "; so few images can prove nothing"
    return (
        f"The distilled student {verb} the baseline, its twin trained on labels alone: {units.errors(distilled)} "
        f"against {baseline:,} on {results['dataset']['test']:,} test images, {difference}. Only the baseline misses "
        f"{_images(alone)}, only the distilled student {taught:,} "
        f"(McNemar's exact test, {units.p_value(results['mcnemar_p'])}{chance})."
    )


def range_of(results: Results) -> str:
    """Return the 95 % interval of the distilled student's gain in words, or "" for results of an earlier version."""
    if "fewer_errors_interval" not in results["mcnemar"]:
        return ""
    bounds = results["mcnemar"]["fewer_errors_interval"]
    low, high = bounds["low"], bounds["high"]
    if low >= 0:
        return f" (95 % interval: {units.interval(low, high)} fewer)"
    if high <= 0:
        return f" (95 % interval: {units.interval(-high, -low)} more)"
    return f" (95 % interval: {math.ceil(-low):,} more to {math.ceil(high):,} fewer)"


def advice(results: Results) -> str:
    """Return which weights to use."""
    use = f"Use {recommended(results)}.safetensors"
    if recommended(results) == "student_baseline":
        sure = results["mcnemar_p"] < SIGNIFICANT
        better = (
            "the baseline, trained on labels alone, is the better model"
            if sure
            else "the baseline is as good, and needs no teacher"
        )
        return f"{use}: {better}."
    if _clearly_better(results):
        return f"{use}."
    return f"{use} if other seeds say the same; one run does not tell (try --seed {results['seed'] + 1})."


def against_teacher(results: Results) -> str:
    """Return what the recommended student saves compared with the teacher, and what it costs in errors."""
    teacher = results["teacher"]
    student = results["student_distilled" if recommended(results) == "student_distilled" else "student_baseline"]
    parameters = _ratio(teacher["parameters"], student["parameters"], "fewer", "more")
    macs = _ratio(teacher["macs"], student["macs"], "fewer", "more")
    speed = _ratio(teacher["latency_ms"], student["latency_ms"], "faster", "slower")
    more = student["errors"] - teacher["errors"]
    cost = "as many errors" if more == 0 else f"{units.errors(abs(more))} {'more' if more > 0 else 'fewer'}"
    return (
        f"Against the teacher, the {MODELS[recommended(results)]} has {parameters} parameters, does {macs} "
        f"multiply-adds, answers a single image {speed} and makes {cost}."
    )


def _clearly_better(results: Results) -> bool:
    """True if the distilled student is clearly better than the baseline."""
    return recommended(results) == "student_distilled" and results["mcnemar_p"] < SIGNIFICANT


def _ratio(teacher: float, student: float, less: str, more: str) -> str:
    """Return "4.1 times fewer", "2.0 times more", or "about as many"."""
    if min(teacher, student) <= 0 or units.times(max(teacher, student), min(teacher, student)) == "1.0":
        return "about as fast" if less == "faster" else "about as many"
    if student < teacher:
        return f"{units.times(teacher, student)} times {less}"
    return f"{units.times(student, teacher)} times {more}"


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"
