"""Repeats Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network", §3, next to the paper's numbers.

The settings in the paper are followed. Settings that it does not state (optimiser, learning rates, epochs, the weight
of the soft targets) are ours, and five thousand images are held out. The constraint on the teacher's weights is that of
the dropout paper to which it refers (Hinton et al. 2012, arXiv:1207.0580): a squared norm of at most 15. Only the
student's transfer set lacks a class; the teacher has seen all digits.

The paper raised the bias of the missing class, or lowered those of the present classes, by the number that was best on
the test images. We choose this number on held-out images, and also report the result of the paper's way.
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from minikd.distillation.recipe import Recipe, Student, Teacher
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Published, Setup, Size
from minikd.evidence.experiments.figures import LOOKS
from minikd.evidence.experiments.lines import STROKES
from minikd.evidence.experiments.missing_classes import errors_on, only_classes
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.evidence.experiments.tuning import with_settings
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECIPE = Recipe(
    teacher=Teacher(
        model="wide", optimizer="adam", learning_rate=1e-3, schedule="one_cycle", warm_up=0.0, weight_decay=0.0,
        dropout=0.5, max_norm=15**0.5, shift=2.0, rotation=0.0, scale=0.0,
    ),
    student=Student(learning_rate=1e-3, hidden=(800, 800)),
)  # fmt: skip
WIDTHS = (30, 300, 800)
TEMPERATURES = (1.0, 2.5, 4.0, 8.0, 20.0)
MISSING = {"no 3s": ((3,), tuple(k for k in range(10) if k != 3)), "7s and 8s": ((7, 8), (7, 8))}
"""For each row, the classes whose biases are moved, and the classes in the transfer set."""


def teachers(setup: Setup, _: Outcomes) -> list[Cell]:
    """The teacher of each seed, 784-1200-1200-10 with dropout, with images moved by up to two pixels."""
    return [Cell("teacher", recipe, "teacher") for recipe in setup.recipes()]


def students(setup: Setup, _: Outcomes) -> list[Cell]:
    """Students of three widths: baselines, at every temperature, and with a transfer set that lacks classes."""
    found = []
    for recipe in setup.recipes():
        for width in WIDTHS:
            how = replace(recipe, student=replace(recipe.student, hidden=(width, width)))
            baseline = f"{width} baseline"
            found.append(Cell(baseline, how, "baseline", "teacher"))
            for temperature in TEMPERATURES:
                soft = with_settings(how, {"temperature": temperature})
                found.append(Cell(f"{width} T={temperature:g}", soft, "student", "teacher", (baseline,)))
        for name, (moved, kept) in MISSING.items():
            soft = with_settings(recipe, {"temperature": 20.0})
            found.append(
                Cell(
                    name, soft, "student", "teacher", change=partial(only_classes, kept), look=partial(errors_on, moved)
                )
            )
    return found


def figure(report: ExperimentReport) -> "Figure":
    """Draw errors over temperature, with a panel for each width and lines for the baseline and the teacher."""
    rows = {row["name"]: row for row in report["rows"]}
    drawing = style.new_figure(10, 4, "Hinton, Vinyals & Dean 2015, §3: two hidden layers, by temperature")
    for width, ax in zip(WIDTHS, drawing.subplots(1, len(WIDTHS)), strict=True):
        for name, role in ("teacher", "teacher"), (f"{width} baseline", "baseline"):
            if name in rows:
                colour, _, meaning = LOOKS[role]
                ax.axhline(rows[name]["mean"], color=colour, linestyle=STROKES[role], label=meaning)
        found = [(t, rows[f"{width} T={t:g}"]) for t in TEMPERATURES if f"{width} T={t:g}" in rows]
        if found:
            colour, marker, meaning = LOOKS["student"]
            means, halves = [row["mean"] for _, row in found], [row["half"] or 0 for _, row in found]
            places = [t for t, _ in found]
            ax.errorbar(places, means, yerr=halves, label=meaning, color=colour, marker=marker, capsize=3)
        ax.set_xscale("log")
        ax.set_xticks(TEMPERATURES, [f"{t:g}" for t in TEMPERATURES])
        ax.minorticks_off()
        errors = "errors on the test images" if width == WIDTHS[0] else ""
        style.tidy(ax, f"784-{width}-{width}-10", "temperature", errors)
    drawing.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    return drawing


HINTON2015 = Experiment(
    name="hinton2015",
    summary="Hinton, Vinyals & Dean 2015, §3: soft targets on MNIST, and transfer sets without some digits",
    compares="with the paper's numbers, and each student with the same one trained on labels alone",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1),
        "short": Size(teacher=12, student=4, minutes=18),
        "full": Size(teacher=60, student=30, minutes=100),
    },
    recipe=RECIPE,
    stages=(teachers, students),
    against=("baseline",),
    draw=figure,
    published=(
        Published("teacher 784-1200-1200-10", "teacher", "", "67"),
        Published("784-800-800-10 baseline", "800 baseline", "", "146"),
        Published("784-800-800-10 distilled, T = 20", "800 T=20", "", "74"),
        Published("transfer set without 3s", "no 3s", "", "206"),
        Published("  of them 3s", "no 3s", "moved classes", "133"),
        Published("  bias of 3 raised by what is best on held-out images", "no 3s", "chosen", ""),
        Published("    of them 3s", "no 3s", "chosen, moved classes", ""),
        Published("  bias of 3 raised by what is best on the test images", "no 3s", "test-tuned", "109"),
        Published("    of them 3s", "no 3s", "test-tuned, moved classes", "14"),
        Published("transfer set of 7s and 8s alone", "7s and 8s", "", "4,730 (47.3 %)"),
        Published("  biases lowered by what is best on held-out images", "7s and 8s", "chosen", ""),
        Published("  biases lowered by what is best on the test images", "7s and 8s", "test-tuned", "1,320 (13.2 %)"),
    ),
)
