"""The best feed-forward students that we can distill from CNNs: large and small, trained long on augmented images.

The teachers are two deep CNNs whose probabilities are averaged. MNIST's images are shifted, rotated, scaled and bent
for teachers and students, and more strongly for students. The students' images are computed once for all students
(`precomputed_augmentation`). Students train with batch norm, which is folded into their weights afterwards. The
baseline is the same network, trained for the same time on the same images, with the same number of learning rates
tried. (Simard et al. 2003 and Cireşan et al. 2010 make less than 1 % of errors without a teacher. So without a baseline
the numbers would say nothing about distillation.)

Learning rates are tried in one pass over the copies (three for the small student) and chosen on held-out images. All
seeds hold out the same images, because a teacher of one seed teaches the students of all seeds. Seeds only change
weights and order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from minikd.data import Augmentation
from minikd.distillation.recipe import Recipe, Student, Teacher
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Setup, Size, with_method
from minikd.evidence.experiments.figures import dots
from minikd.evidence.experiments.precomputed_augmentation import precompute_augmentation, same_images
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.evidence.experiments.tuning import TunedSettings, tries, with_best_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEACHERS = 2
VARIED = Augmentation(shift=1.0, rotation=10.0, scale=0.12, elastic=1.0)
"""The augmentation of the students' images, computed once. A teacher's images are augmented in each epoch as in the
main job, and also bent a little."""


@dataclass(frozen=True)
class Net:
    """A student: its hidden layers, a factor for the preset's passes, its temperature, and the learning rates to try.

    The temperature of a small student is lower, as in Hinton et al. 2015, §3.
    """

    hidden: tuple[int, ...]
    longer: int
    temperature: float
    rates: tuple[float, ...]

    @property
    def grid(self) -> Sequence[TunedSettings]:
        """The settings to try besides the first rate, for the baseline and for the student."""
        return [{"learning_rate": rate} for rate in self.rates[1:]]


NETS: Mapping[str, Net] = {
    "800-800": Net((800, 800), 1, 4.0, (4e-3, 2e-3, 8e-3, 1.6e-2)),
    "128": Net((128,), 3, 2.0, (5e-3, 2.5e-3, 1e-2, 2e-2)),
}
KINDS = ("baseline", "distilled")


def teachers(setup: Setup, _: Outcomes) -> list[Cell]:
    """The CNNs that teach together, one for each of the first seeds."""
    return [Cell("teacher", recipe, "teacher", change=same_images) for recipe in setup.recipes()[:TEACHERS]]


def row(setup: Setup, size: str, kind: str, passes: int, baseline: str = "") -> list[Cell]:
    """Return the cells of a row at the recipe's settings, one for each seed."""
    net, change = NETS[size], partial(precompute_augmentation, setup.size.copies, VARIED)
    found, role = [], "baseline" if kind == "baseline" else "student"
    together = tuple(cell.key for cell in teachers(setup, {}))
    for recipe in setup.recipes():
        student = replace(recipe.student, hidden=net.hidden, learning_rate=net.rates[0], epochs=passes)
        how = with_method(replace(recipe, student=student), "soft_targets", {"temperature": net.temperature})
        against = (baseline,) if baseline else ()
        found.append(Cell(f"{size} {kind}", how, role, "teacher", against, change=change, ensemble=together))
    return found


def candidates(setup: Setup, _: Outcomes) -> list[Cell]:
    """All settings to try, for the tuning seeds."""
    found = []
    for size, net in NETS.items():
        for kind in KINDS:
            found += tries(row(setup, size, kind, net.longer)[: setup.size.tuning], ({}, *net.grid))
    return found


def students(setup: Setup, outcomes: Outcomes) -> list[Cell]:
    """Baselines and students with the settings that did best on the held-out images."""
    found = []
    for size, net in NETS.items():
        baseline = ""
        for kind in KINDS:
            passes = setup.size.student * net.longer
            cells = row(setup, size, kind, passes, baseline)
            found += with_best_settings(setup, outcomes, cells, net.grid)
            baseline = found[-1].name
    return found


def figure(report: ExperimentReport) -> "Figure":
    """Draw every row, best first."""
    return dots(report, "Feed-forward students of two CNNs, on varied images")


RECORD = Experiment(
    name="record",
    summary="the best feed-forward students, 784-800-800-10 and 784-128-10, long trained on varied images",
    compares="each with an equally long, equally tuned student trained on the same images' labels alone",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1, tuning=1, copies=3),
        "short": Size(teacher=3, student=1, minutes=20, tuning=1, copies=6),
        "full": Size(teacher=14, student=5, minutes=100, tuning=1, copies=20),
    },
    recipe=Recipe(teacher=Teacher(model="deep", elastic=0.5), student=Student(norm="batch")),
    stages=(teachers, candidates, students),
    against=("baseline",),
    draw=figure,
)
