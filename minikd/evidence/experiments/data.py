"""Few labels: some images keep their labels. The teacher and the baseline learn from these, the student from all
images.

All are trained for the same number of steps, so with few labels, teacher and baseline see each image more often. The
baseline has the learning rate that is best for it on the held-out images. The student has its default.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minikd.distillation.recipe import Recipe
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Setup, Size
from minikd.evidence.experiments.lines import lines
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.evidence.experiments.tuning import RATES, tries, with_best_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS = (100, 300, 1_000, 3_000, 10_000)
"""The numbers of images that keep their labels. The last number is all that are not held out: 55,000 of MNIST's
60,000."""


def recipes(setup: Setup) -> list[tuple[int, Recipe]]:
    """Return (labelled images, recipe) for each number of labels that the data allow, and each seed."""
    counts = [*(count for count in COUNTS if count < setup.images), setup.images]
    return [
        (count, replace(recipe, labelled=0 if count == setup.images else count))
        for count in counts
        for recipe in setup.recipes()
    ]


def teachers(setup: Setup, _: Outcomes) -> list[Cell]:
    """A teacher for each number of labels and seed."""
    return [Cell(f"{count} teacher", recipe, "teacher") for count, recipe in recipes(setup)]


def baselines(setup: Setup) -> list[list[Cell]]:
    """Return the baseline's cells at its defaults, one for each seed, for each number of labels."""
    found: dict[int, list[Cell]] = {}
    for count, recipe in recipes(setup):
        cell = Cell(f"{count} baseline", recipe, "baseline", f"{count} teacher")
        found.setdefault(count, []).append(cell)
    return list(found.values())


def candidates(setup: Setup, _: Outcomes) -> list[Cell]:
    """The learning rates of each baseline, for the tuning seeds."""
    return [one for cells in baselines(setup) for one in tries(cells[: setup.size.tuning], ({}, *RATES))]


def students(setup: Setup, outcomes: Outcomes) -> list[Cell]:
    """A baseline and a student for each."""
    found = []
    for cells in baselines(setup):
        found += with_best_settings(setup, outcomes, cells, RATES)
        against = (found[-1].name,)
        for cell in cells:
            name = cell.name.replace("baseline", "distilled")
            found.append(Cell(name, cell.recipe, "student", cell.teacher, against))
    return found


def figure(report: ExperimentReport) -> "Figure":
    """Draw test errors over the number of labels, with a line for teacher, baseline and student."""
    places = {row["name"]: float(row["name"].split()[0]) for row in report["rows"]}
    return lines(report, "Test errors by the number of labelled images", "images with a label", places)


DATA = Experiment(
    name="data",
    summary="100 to 55,000 labelled images, the rest as a transfer set without labels",
    compares="the distilled student with its teacher and the student trained on the labelled images alone",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1, tuning=1),
        "short": Size(teacher=1, student=5, minutes=14, tuning=1),
        "full": Size(teacher=3, student=20, minutes=36, tuning=2),
    },
    recipe=Recipe(),
    stages=(teachers, candidates, students),
    against=("baseline",),
    draw=figure,
)
