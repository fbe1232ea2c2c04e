"""Errors against bytes: how small a student can get, by its network, the bits of its weights, and pruning.

Every student is trained twice, on the labels alone and distilled, and is measured as its C export answers: in whole
numbers where its weights are rounded. Bytes are all constants of that export: weights, scales, biases, and the indices
of pruned weights. A pruned layer is stored as a list or in full, whichever is smaller. Multiply-adds are those of the
weights that are not pruned.

A deep CNN teaches the students of all seeds. Both see the training images shifted, rotated, scaled and bent, as in
`record`, which computes these copies once. Learning rates are chosen on held-out images, after one pass over the
copies, for the baseline as for the distilled student. The published points are other networks on MNIST's test images,
some of them shrunken to 16x16 pixels (BitNetMCU); most are single runs.
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
from minikd.evidence.experiments.experiment import Experiment, Published, Setup, Size, taught
from minikd.evidence.experiments.figures import LOOKS
from minikd.evidence.experiments.precomputed_augmentation import precompute_augmentation, same_images
from minikd.evidence.experiments.rows import ExperimentReport, ResultRow
from minikd.evidence.experiments.tuning import TunedSettings, at_its_best, tries
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

RATES: Sequence[TunedSettings] = ({"learning_rate": 2.5e-3}, {"learning_rate": 1e-2})
"""What is tried beside the default learning rate, for the baseline as for the distilled student."""


class Point(NamedTuple):
    """A published network: whose, its bytes, its errors on the 10,000 test images."""

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
"""As published: by BitNetMCU (single runs); by Han, Mao & Dally 2016 (Deep Compression: the size of a compressed file,
not of flash that runs); by Brevitas for its quantised networks."""


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
        how = taught(sized(recipe, name), "soft_targets", {"temperature": TEMPERATURE, "alpha": ALPHA})
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
        alone, distilled = (at_its_best(setup, outcomes, cells, RATES) for cells in pair)
        found += alone + [replace(cell, against=(alone[0].name,)) for cell in distilled]
    return found


def cost(job: Job, model: Sequential, _: Floats) -> dict[str, float]:
    """Return the bytes of a student's constants in C, those of its working memory, and its multiply-adds."""
    whole = model.whole if isinstance(model, InWholeNumbers) else None
    source = integer_source(whole) if whole else float_source(model, job.data.card("student"))
    return {"bytes": source.constant_bytes, "working bytes": source.working_bytes, "multiply-adds": macs(job, model)}


def macs(job: Job, model: Sequential) -> float:
    """Return the multiply-adds of an image: of a pruned network, those of the weights that are left."""
    shape, total = job.data.dataset.image_shape, 0.0
    for layer in model.layers:
        used = float((layer.params["weight"] != 0).mean()) if job.recipe.prune and layer.params else 1.0
        total += layer.macs(shape) * used
        shape = layer.output_shape(shape)
    return total


def front(found: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows that no other row beats in both bytes and errors, by their bytes."""
    best, kept = float("inf"), []
    for row in sorted(found, key=lambda row: (row["parts"]["bytes"], row["mean"])):
        if row["mean"] < best:
            best = row["mean"]
            kept.append(row)
    return kept


def figure(report: ExperimentReport) -> "Figure":
    """Draw errors over bytes: baselines, distilled students, the front of these, and the published points."""
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


TINY = ("pool2 8 int4", "cnn 2 ternary", "8 int8 pruned 0.5")
SMALLEST = ("pool2 cnn 6-8 int4", "pool2 48 int4", "64 int4", "128 int4", "128 int8", "128 float32")

SIZE = Experiment(
    name="size",
    summary="errors against bytes: float32, int8, int4 and ternary students of many sizes, one pruned",
    compares="each with the same student trained on labels alone, and with published networks",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1, tuning=1, copies=2, students=TINY),
        "short": Size(teacher=2, student=1, minutes=15, tuning=1, copies=6, students=SMALLEST),
        "full": Size(teacher=14, student=5, minutes=220, tuning=1, copies=20, students=SMALLEST),
    },
    recipe=Recipe(teacher=Teacher(model="deep", elastic=0.5)),
    stages=(teachers, candidates, students),
    against=("baseline",),
    draw=figure,
    published=tuple(Published(point.name, "", "", f"{point.errors:,.0f}") for point in POINTS),
)
