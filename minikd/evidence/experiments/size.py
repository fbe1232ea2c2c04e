"""Errors and bytes of small students, for several widths, kinds of weights, and with pruning.

Every student is trained twice, on the labels alone and distilled. It is measured like its C export: in whole numbers if
its weights are rounded. Bytes are all constants of this export: weights, scales, biases, and the indices of pruned
weights. A pruned layer is stored as a list or in full, whichever is smaller. Multiply-adds only count weights that are
not pruned.

The settings of each row are chosen on held-out images: the default, another learning rate, and for a distilled student
a lower temperature, which suits small students. The published points are other networks on MNIST's test images, some
with images reduced to 16x16 pixels (BitNetMCU). Most are single runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from minikd.compression.whole import InWholeNumbers
from minikd.distillation.job import Job
from minikd.distillation.recipe import Recipe, Student
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Published, Setup, Size, teachers
from minikd.evidence.experiments.figures import LOOKS
from minikd.evidence.experiments.rows import ExperimentReport, ResultRow
from minikd.evidence.experiments.tuning import TunedSettings, at_its_best, tries
from minikd.exports.c_float import float_source
from minikd.exports.c_int8 import integer_source
from minikd.nn import Sequential
from minikd.report import style
from minikd.typing import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("none", "int8", "int4", "ternary")
"""The kinds of weights; "none" is float32."""

PRUNED = (0.0, 0.9)
"""Fractions of the weights that are pruned."""

GRIDS: Mapping[str, Sequence[TunedSettings]] = {
    "baseline": ({"learning_rate": 1e-2}, {"learning_rate": 2.5e-3}),
    "student": ({"learning_rate": 1e-2}, {"temperature": 2.0}),
}
"""The settings to try besides the defaults; equally many for the baseline and the distilled student."""


class Point(NamedTuple):
    """A published network: its source, its bytes, and its errors on the 10,000 test images."""

    name: str
    bytes: float
    errors: float


POINTS = (
    Point("BitNetMCU, 1.1 kB", 1_100, 578),
    Point("BitNetMCU, CNN, 5.4 kB", 5_400, 94),
    Point("BitNetMCU, CNN, 11 kB", 11_000, 45),
    Point("BitNetMCU, 12.3 kB", 12_300, 98),
    Point("Deep Compression, LeNet-300-100", 27_000, 158),
    Point("Deep Compression, LeNet-5", 44_000, 74),
    Point("Brevitas SFC, 1 bit", 42_000, 219),
    Point("Brevitas SFC, 2 bits", 84_000, 134),
)
"""Published by BitNetMCU (single runs), by Han, Mao & Dally 2016 (Deep Compression: the size of a compressed file, not
of flash memory), and by Brevitas for its quantised networks."""


@dataclass(frozen=True)
class SizedNet:
    """A student: its hidden units or "cnn", the kind of its weights, and the fraction that is pruned."""

    size: str
    kind: str
    pruned: float

    @property
    def name(self) -> str:
        """The row's name, without the role."""
        kind = "float32" if self.kind == "none" else self.kind
        return f"{self.size} {kind}" + (f" pruned {self.pruned:g}" if self.pruned else "")

    def of(self, recipe: Recipe) -> Recipe:
        """Return the recipe that trains it."""
        network = {"model": "cnn"} if self.size == "cnn" else {"hidden": (int(self.size),)}
        student = Student.of({**asdict(recipe.student), **network}, "student")
        return replace(recipe, student=student, quantize=self.kind, prune=self.pruned)


def nets(setup: Setup) -> list[SizedNet]:
    """Return the preset's students. CNNs are not pruned, because convolutions are stored in full."""
    return [
        SizedNet(size, kind, pruned)
        for size in setup.size.students
        for kind in KINDS
        for pruned in (PRUNED if size != "cnn" else PRUNED[:1])
    ]


def rows(setup: Setup, net: SizedNet) -> tuple[list[Cell], list[Cell]]:
    """Return a student's cells, one for each seed: on labels alone, and distilled."""
    recipes = [net.of(recipe) for recipe in setup.recipes()]
    alone = [Cell(f"{net.name} baseline", recipe, "baseline", "teacher", look=cost) for recipe in recipes]
    distilled = [Cell(f"{net.name} distilled", recipe, "student", "teacher", look=cost) for recipe in recipes]
    return alone, distilled


def candidates(setup: Setup, _: Outcomes) -> list[Cell]:
    """All settings to try, for the tuning seeds."""
    found = []
    for net in nets(setup):
        for cells in rows(setup, net):
            found += tries(cells[: setup.size.tuning], ({}, *GRIDS[cells[0].role]))
    return found


def students(setup: Setup, outcomes: Outcomes) -> list[Cell]:
    """Baselines and students with the settings that did best on the held-out images."""
    found = []
    for net in nets(setup):
        alone, distilled = (at_its_best(setup, outcomes, cells, GRIDS[cells[0].role]) for cells in rows(setup, net))
        found += alone + [replace(cell, against=(alone[0].name,)) for cell in distilled]
    return found


def cost(job: Job, model: Sequential, _: Floats) -> dict[str, float]:
    """Return the bytes of a student's constants in C, of its working memory, and its multiply-adds."""
    whole = model.whole if isinstance(model, InWholeNumbers) else None
    source = integer_source(whole) if whole else float_source(model, job.data.card("student"))
    return {"bytes": source.constant_bytes, "working bytes": source.working_bytes, "multiply-adds": macs(job, model)}


def macs(job: Job, model: Sequential) -> float:
    """Return the multiply-adds for one image; in a pruned network, only those of the remaining weights."""
    shape, total = job.data.dataset.image_shape, 0.0
    for layer in model.layers:
        used = float((layer.params["weight"] != 0).mean()) if job.recipe.prune and layer.params else 1.0
        total += layer.macs(shape) * used
        shape = layer.output_shape(shape)
    return total


def front(found: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows that no other row beats in both bytes and errors, sorted by bytes."""
    best, kept = float("inf"), []
    for row in sorted(found, key=lambda row: (row["parts"]["bytes"], row["mean"])):
        if row["mean"] < best:
            best = row["mean"]
            kept.append(row)
    return kept


def figure(report: ExperimentReport) -> "Figure":
    """Draw errors over bytes: baselines, distilled students, the front of the best, and the published points."""
    drawing = style.new_figure(9, 5, "Errors against bytes of constants in C")
    ax = drawing.subplots()
    found = [row for row in report["rows"] if row["role"] != "teacher"]
    for role in ("baseline", "student"):
        colour, marker, _ = LOOKS[role]
        these = [row for row in found if row["role"] == role]
        meaning = "baseline: labels alone" if role == "baseline" else "distilled"
        places, means = [row["parts"]["bytes"] for row in these], [row["mean"] for row in these]
        halves = [row["half"] or 0 for row in these]
        ax.errorbar(places, means, yerr=halves, fmt=marker, color=colour, markersize=5, label=meaning)
    line = front(found)
    ax.plot([row["parts"]["bytes"] for row in line], [row["mean"] for row in line], color=style.BLUE, label="front")
    for point in POINTS:
        ax.plot([point.bytes], [point.errors], "x", color=style.INK)
        ax.annotate(point.name, (point.bytes, point.errors), fontsize=7, xytext=(4, 4), textcoords="offset points")
    ax.plot([], [], "x", color=style.INK, label="published")
    ax.set_xscale("log")
    ax.set_yscale("log")
    style.tidy(ax, "", "bytes", "errors on the test images")
    ax.legend(frameon=False, fontsize=9)
    return drawing


SIZE = Experiment(
    name="size",
    summary="errors against bytes: float32, int8, int4 and ternary students of several widths, pruned or not",
    compares="each with the same student trained on labels alone, and with published networks",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1, tuning=1, students=("8",)),
        "short": Size(teacher=2, student=5, minutes=40, students=("16", "64")),
        "full": Size(teacher=8, student=15, minutes=220, tuning=1, students=("6", "8", "16", "30", "64", "128", "cnn")),
    },
    recipe=Recipe(),
    stages=(teachers, candidates, students),
    against=("baseline",),
    draw=figure,
    published=tuple(Published(point.name, "", "", f"{point.errors:,.0f}") for point in POINTS),
)
