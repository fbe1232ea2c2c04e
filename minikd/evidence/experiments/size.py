"""Errors and bytes of small students, by their network, the kind of their weights, and with pruning.

Every student is trained twice, on the labels alone and distilled. It is measured like its C export: in whole numbers if
its weights are rounded. Bytes are all constants of this export: weights, scales, biases, and the indices of pruned
weights. A pruned layer is stored as a list or in full, whichever is smaller. Multiply-adds only count weights that are
not pruned.

A deep CNN teaches the students of all seeds. The students see copies of the training images that are shifted, rotated,
scaled and bent, as in `record`. Three learning rates are tried for each baseline and each distilled student, for one
pass over the copies; held-out images choose one. The published points are other networks on MNIST's test images, some
with images reduced to 16x16 pixels (BitNetMCU). Most are single runs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from minikd.compression.whole import InWholeNumbers
from minikd.data import Augmentation
from minikd.distillation.job import Job
from minikd.distillation.recipe import Recipe, Student, Teacher
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Published, Setup, Size, with_method
from minikd.evidence.experiments.figures import LOOKS
from minikd.evidence.experiments.lines import round_numbers
from minikd.evidence.experiments.precomputed_augmentation import precompute_augmentation, same_images
from minikd.evidence.experiments.rows import ExperimentReport, ResultRow
from minikd.evidence.experiments.tuning import TunedSettings, tries, with_best_settings
from minikd.exports.c_float import float_source
from minikd.exports.c_int8 import integer_source
from minikd.nn import Sequential
from minikd.report import style
from minikd.typing import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIED = Augmentation(shift=1.0, rotation=10.0, scale=0.12, elastic=1.0)
"""How the copies of the training images are varied; see `record`."""

TEMPERATURE, ALPHA = 2.0, 0.9
"""How small students are taught: at a lower temperature than large ones (Hinton et al. 2015, §3)."""

RATES: Sequence[TunedSettings] = ({"learning_rate": 2e-3}, {"learning_rate": 1e-2})
"""The learning rates that are tried besides the default, for the baseline and for the distilled student."""


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


NAME = re.compile(r"(?:pool(\d+) )?(cnn )?(\d+(?:-\d+)*) (float32|int8|int4|ternary)(?: pruned (0\.\d+))?")


def sized(recipe: Recipe, name: str) -> Recipe:
    """Return the recipe that trains the student of a name: its network, the kind of its weights, how many are pruned.

    As "96-64 int8" (hidden units), "cnn 16-32 int4" (channels of the convolutions), "pool2 48 ternary" (the image is
    pooled first), "128 int4 pruned 0.9" (nine weights in ten are pruned).
    """
    found = NAME.fullmatch(name)
    assert found is not None, name
    pool, convolutional, units, kind, prune = found.groups()
    sizes = tuple(int(one) for one in units.split("-"))
    network: Mapping[str, object] = {"model": "cnn", "channels": sizes} if convolutional else {"hidden": sizes}
    student = Student.of({**asdict(recipe.student), **network, "pool": int(pool or 1)}, "student")
    return replace(recipe, student=student, quantize="none" if kind == "float32" else kind, prune=float(prune or 0))


def teachers(setup: Setup, _: Outcomes) -> list[Cell]:
    """The teacher of all seeds' students."""
    return [Cell("teacher", setup.recipes()[0], "teacher", change=same_images)]


def rows(setup: Setup, name: str, passes: int) -> tuple[list[Cell], list[Cell]]:
    """Return a student's cells, one for each seed: on labels alone, and distilled."""
    (teacher,), alone, distilled = teachers(setup, {}), [], []
    change = partial(precompute_augmentation, setup.size.copies, VARIED)
    for recipe in setup.recipes():
        how = with_method(sized(recipe, name), "soft_targets", {"temperature": TEMPERATURE, "alpha": ALPHA})
        how = replace(how, student=replace(how.student, epochs=passes))
        cell = Cell(f"{name} baseline", how, "baseline", "teacher", look=cost, change=change, ensemble=(teacher.key,))
        alone.append(cell)
        distilled.append(replace(cell, name=f"{name} distilled", role="student"))
    return alone, distilled


def candidates(setup: Setup, _: Outcomes) -> list[Cell]:
    """Every learning rate that is tried, for the tuning seeds."""
    found = []
    for name in setup.size.students:
        for cells in rows(setup, name, 1):
            found += tries(cells[: setup.size.tuning], ({}, *RATES))
    return found


def students(setup: Setup, outcomes: Outcomes) -> list[Cell]:
    """Baselines and students with the learning rates that did best on the held-out images."""
    found = []
    for name in setup.size.students:
        pair = rows(setup, name, setup.size.student)
        alone, distilled = (with_best_settings(setup, outcomes, cells, RATES) for cells in pair)
        found += alone + [replace(cell, against=(alone[0].name,)) for cell in distilled]
    return sorted(found, key=lambda cell: cell.seed)  # a run that is stopped early has complete seeds


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


def pareto_front(found: Sequence[ResultRow]) -> list[ResultRow]:
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
    line = pareto_front(found)
    ax.plot([row["parts"]["bytes"] for row in line], [row["mean"] for row in line], color=style.BLUE, label="front")
    for point in POINTS:
        ax.plot([point.bytes], [point.errors], "x", color=style.INK)
        ax.annotate(point.name, (point.bytes, point.errors), fontsize=7, xytext=(4, 4), textcoords="offset points")
    ax.plot([], [], "x", color=style.INK, label="published")
    ax.set_xscale("log")
    ax.set_yscale("log")
    round_numbers(ax.xaxis, (1.0, 3.0))
    round_numbers(ax.yaxis, (1.0, 2.0, 5.0))
    style.tidy(ax, "", "bytes", "errors on the test images")
    ax.legend(frameon=False, fontsize=9)
    return drawing


GOALS = (
    *("128 float32", "128 int8", "128 int4", "64 int4", "pool2 160-96 int4", "pool2 88-48 int4"),
    "pool2 cnn 6-10 int4",
)
"""The students that `results/size.md` holds against its goals, without the slow CNN of 10 kB."""

MORE = (
    "cnn 16-32-40 int4",
    *("64 float32", "64 int8", "64 ternary", "128 ternary", "256 ternary", "30 int4", "16 int8", "16 int4"),
    *("128 int8 pruned 0.9", "128 int4 pruned 0.8", "pool2 64-32 int4", "pool2 32 int4", "pool2 16 ternary"),
    *("pool2 cnn 8-16 int4", "cnn 8-16-24 int4"),
)

SIZE = Experiment(
    name="size",
    summary="errors and bytes of float32, int8, int4 and ternary students of many sizes, some of them pruned",
    compares="each with the same student trained on labels alone, and with published networks",
    sizes={
        "tiny": Size(
            teacher=1, student=1, minutes=1, tuning=1, copies=2, students=("pool2 cnn 4 int4", "8 int8 pruned 0.5")
        ),
        "short": Size(teacher=14, student=3, minutes=70, tuning=1, copies=10, students=GOALS),
        "full": Size(teacher=14, student=3, minutes=240, tuning=1, copies=10, students=(*GOALS, *MORE)),
    },
    recipe=Recipe(teacher=Teacher(model="deep", elastic=0.5)),
    stages=(teachers, candidates, students),
    against=("baseline",),
    draw=figure,
    published=tuple(Published(point.name, "", "", f"{point.errors:,.0f}") for point in POINTS),
)
