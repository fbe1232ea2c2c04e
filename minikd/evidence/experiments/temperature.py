"""Plain soft targets over temperature and α: where they help, and by how much. No setting is chosen from it.

The baseline has the learning rate that is best for it on the held-out images, because the default was chosen for the
distilled student.
"""

from typing import TYPE_CHECKING

from minikd.distillation.recipe import Recipe
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Setup, Size, teachers, with_method
from minikd.evidence.experiments.heat import heat_map
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.evidence.experiments.tuning import RATES, tries, with_best_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0)
ALPHAS = (0.3, 0.5, 0.7, 0.9, 1.0)


def name(temperature: float, alpha: float) -> str:
    """Return the name of a row."""
    return f"T={temperature:g} alpha={alpha:g}"


def baselines(setup: Setup) -> list[Cell]:
    """Return the baseline's cells at its defaults, one for each seed."""
    return [Cell("baseline", recipe, "baseline", "teacher") for recipe in setup.recipes()]


def candidates(setup: Setup, _: Outcomes) -> list[Cell]:
    """The baseline's learning rates, for the tuning seeds."""
    return tries(baselines(setup)[: setup.size.tuning], ({}, *RATES))


def students(setup: Setup, outcomes: Outcomes) -> list[Cell]:
    """The baseline, and a student for each temperature and α."""
    found = with_best_settings(setup, outcomes, baselines(setup), RATES)
    against = (found[0].name,)
    for temperature in TEMPERATURES:
        for alpha in ALPHAS:
            for recipe in setup.recipes():
                how = with_method(recipe, "soft_targets", {"temperature": temperature, "alpha": alpha})
                found.append(Cell(name(temperature, alpha), how, "student", "teacher", against))
    return found


def figure(report: ExperimentReport) -> "Figure":
    """Draw the mean test errors as a heat map, compared with the baseline's."""
    return heat_map(
        report,
        "Soft targets: test errors by temperature and α",
        [
            ("temperature", [f"{t:g}" for t in TEMPERATURES]),
            ("α, the share of the teacher's term", [*map(str, ALPHAS)]),
        ],
        [[name(temperature, alpha) for temperature in TEMPERATURES] for alpha in ALPHAS],
    )


TEMPERATURE = Experiment(
    name="temperature",
    summary="soft targets over temperature and α, as a heat map",
    compares="each with the student trained on labels alone",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1, tuning=1),
        "short": Size(teacher=2, student=5, minutes=16, tuning=1),
        "full": Size(teacher=5, student=40, minutes=40, tuning=5),
    },
    recipe=Recipe(),
    stages=(teachers, candidates, students),
    against=("baseline",),
    draw=figure,
)
