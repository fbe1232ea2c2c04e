"""Finds in the numbers why a distilled student is not clearly better than the baseline, and what may help."""

import math
from collections.abc import Mapping

from minikd.console import units
from minikd.distillation.results import Results

STEPS = 2000
"""With fewer steps, a network was not trained enough, whatever its size and data. MNIST's teacher has 2,150 steps."""

CHANCE = 1.5
"""A model with fewer right answers than this multiple of guessing has learned almost nothing."""

AUGMENTATION = ("shift", "rotation", "scale", "elastic")


def diagnosis(results: Results, won: bool) -> str:
    """Return the problem of the distilled student, or "" if it is better or had no teacher."""
    teacher, baseline = results["teacher"]["errors"], results["student_baseline"]["errors"]
    if won or not _taught(results):
        return ""
    if baseline == 0:
        return "The baseline makes no error on the test images: nothing is left for a teacher to add."
    if teacher < baseline and not _guessing(results):
        return _followed_teacher(results)
    return " ".join(filter(None, [_weak_teacher(results), _teacher_training(results), _what_may_help(results)]))


def _taught(results: Results) -> bool:
    """True if the method of distillation uses the teacher."""
    from minikd.methods import METHODS

    method = METHODS.get(results["method"])
    return method is None or method.needs != ("labels",)


def _guessing(results: Results) -> bool:
    """True if the teacher is hardly better than guessing."""
    return results["teacher"]["accuracy"] * results["dataset"]["classes"] <= CHANCE


def _weak_teacher(results: Results) -> str:
    teacher, baseline = results["teacher"], results["student_baseline"]["errors"]
    classes = results["dataset"]["classes"]
    better = "little better" if teacher["errors"] < baseline else "no better"
    said = [
        f"The teacher is {better} than the baseline on the test images: {units.errors(teacher['errors'])} against "
        f"{baseline:,}."
    ]
    if _guessing(results):
        said.append(f"It hardly does better than guessing, which is right once in {classes}.")
    if results["student_distilled"]["errors"] > baseline:
        said.append("The distilled student learns its mistakes.")
    return " ".join(said)


def _teacher_training(results: Results) -> str:
    """Return how much training the teacher had, if this run trained it."""
    epochs = _number(results, "teacher", "epochs")
    if not epochs or _section(results, "teacher").get("weights"):
        return ""
    images, steps = results["dataset"]["train"], _steps(results, "teacher") * epochs
    return (
        f"The teacher saw {images:,} images for {steps:,} step{'s' * (steps > 1)} ({epochs} epoch{'s' * (epochs > 1)})."
    )


def _what_may_help(results: Results) -> str:
    settings = _section(results, "teacher")
    if settings.get("weights"):
        return "Another teacher may help."
    if not settings:
        return "More steps, no augmentation or another size may help the teacher."
    tries = [_more_steps(results, "teacher")]
    if varied := [name for name in AUGMENTATION if settings.get(name)]:
        tries.append(f"no augmentation ({' '.join(f'--teacher-{name} 0' for name in varied)})")
    model = settings.get("model")
    tries.append(f"another size (--teacher-model {'cnn' if model == 'deep' else 'deep'})" if model else "another size")
    return f"What may help the teacher: {', '.join(tries)}."


def _followed_teacher(results: Results) -> str:
    """Return how far the distilled student agrees with a teacher that is better than the baseline."""
    agreement = units.percent(results["student_distilled"]["agreement"])
    knobs = [f"another {name} (--{name})" for name in ("temperature", "alpha") if name in results["method_args"]]
    return (
        f"The teacher is better than the baseline, {units.errors(results['teacher']['errors'])} against "
        f"{results['student_baseline']['errors']:,}, and the distilled student gives its answer on {agreement} % of "
        f"the test images. What may help the student: {', '.join([_more_steps(results, 'student'), *knobs])}."
    )


def _more_steps(results: Results, who: str) -> str:
    """Return the flag for twice the epochs, or for as many as give `STEPS` steps, if the run's recipe is known."""
    epochs = _number(results, who, "epochs")
    more = max(2 * epochs, math.ceil(STEPS / _steps(results, who)))
    return f"more steps (--{who}-epochs {more})" if epochs else "more steps"


def _section(results: Results, name: str) -> Mapping[str, object]:
    """Return a section of the run's recipe, or {} if the results are of an earlier version without it."""
    section = results.get("config", {}).get(name)
    return section if isinstance(section, Mapping) else {}


def _number(results: Results, section: str, name: str) -> int:
    value = _section(results, section).get(name)
    return value if isinstance(value, int) else 0


def _steps(results: Results, who: str) -> int:
    """Return a network's steps in an epoch. Students may see images without labels too."""
    images = results["dataset"]["train"] + (results["dataset"]["unlabelled"] if who == "student" else 0)
    return max(1, math.ceil(images / (_number(results, who, "batch_size") or 1)))
