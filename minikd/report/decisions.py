"""The figures of the answers: which classes are mistaken for which, and whether a confidence can be believed."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minikd.metrics import Reliability, confusion_matrix, reliability
from minikd.report import style
from minikd.report.evidence import MODELS, Evidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTED = 15
"""Classes up to which every cell of a confusion matrix has room for its number."""
BINS = 15
FEW = 10
"""A bin of fewer samples is drawn pale: its bar is mostly chance."""


def confusion(evidence: Evidence) -> "Figure":
    """Draw the confusion matrices of teacher and distilled student, the mistakes in colour and the diagonal blank."""
    models = ("teacher", "student_distilled")
    matrices = {model: confusion_matrix(evidence.logits[model], evidence.test_labels) for model in models}
    largest = max(1, *(int(_mistakes(matrix).max()) for matrix in matrices.values()))
    figure = style.new_figure(11.5, 5.9, _confusion_title(matrices["student_distilled"], evidence.class_names))
    for ax, (model, matrix) in zip(figure.subplots(1, 2), matrices.items(), strict=True):
        mistakes = _mistakes(matrix)
        shown = np.where(np.eye(len(matrix), dtype=bool), np.nan, mistakes)
        image = ax.imshow(shown, cmap="Blues", vmin=0, vmax=largest, interpolation="nearest")
        ax.set_facecolor("#EFEFEF")
        style.tidy(ax, f"{MODELS[model]}: {mistakes.sum():,} errors", "taken for", "true class", grid=False)
        positions, names = style.class_ticks(evidence.class_names)
        long = max(map(len, names)) > 2
        ax.set_xticks(positions, names, rotation=45 if long else 0, ha="right" if long else "center")
        ax.set_yticks(positions, names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        if len(matrix) <= COUNTED:
            _write_counts(ax, matrix, largest)
        else:
            from matplotlib.ticker import MaxNLocator

            bar = figure.colorbar(image, ax=ax, shrink=0.75, ticks=MaxNLocator(integer=True))
            bar.set_label("test images", fontsize=9)
    return figure


def _mistakes(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return matrix - np.diag(np.diag(matrix))


def _confusion_title(matrix: npt.NDArray[np.int64], names: tuple[str, ...]) -> str:
    mistakes = _mistakes(matrix)
    if not mistakes.any():
        return "The distilled student makes no mistake on these images"
    true, taken = divmod(int(mistakes.argmax()), len(mistakes))
    times = f"{mistakes[true, taken]} time{'' if mistakes[true, taken] == 1 else 's'}"
    return f"The distilled student's commonest mistake: {style.label(names[true])} taken for " + (
        f"{style.label(names[taken])}, {times}"
    )


def _write_counts(ax: "Axes", matrix: npt.NDArray[np.int64], largest: int) -> None:
    size = 9 if len(matrix) <= 10 else 7.5
    for true, taken in np.ndindex(matrix.shape):
        number = int(matrix[true, taken])
        if true == taken:
            ax.text(taken, true, f"{number}", ha="center", va="center", fontsize=size - 1, color="#8A8A8A")
        elif number:
            colour = "white" if number > 0.55 * largest else style.INK
            ax.text(taken, true, f"{number}", ha="center", va="center", fontsize=size, color=colour)


def reliability_diagram(evidence: Evidence) -> "Figure":
    """Draw, for each model, accuracy against confidence in bins, and below it how the confidences are spread."""
    bars = {model: reliability(evidence.logits[model], evidence.test_labels, BINS) for model in MODELS}
    best = min(bars, key=lambda model: bars[model].ece)
    figure = style.new_figure(
        11, 5.4, f"Best calibrated: the {MODELS[best]}, with an ECE of {100 * bars[best].ece:.2f} %"
    )
    grid = figure.subplots(2, len(MODELS), sharex=True, sharey="row", height_ratios=(2.6, 1))
    for column, (model, bar) in enumerate(bars.items()):
        _reliability_panel(grid[0, column], model, bar)
        _histogram_panel(grid[1, column], model, bar, len(evidence.test_labels))
    grid[0, 0].set_ylabel("accuracy in the bin", fontsize=9.5)
    grid[1, 0].set_ylabel("images", fontsize=9.5)
    return figure


def _reliability_panel(ax: "Axes", model: str, bar: Reliability) -> None:
    left = np.arange(BINS) / BINS
    filled = bar.counts > 0
    ax.plot([0, 1], [0, 1], "--", color=style.GREY, linewidth=1, zorder=3)
    heights, alphas = bar.accuracy[filled], np.where(bar.counts[filled] < FEW, 0.35, 1.0)
    drawn = ax.bar(left[filled], heights, 1 / BINS, align="edge", color=style.COLOURS[model], edgecolor="white")
    for patch, alpha in zip(drawn, alphas.tolist(), strict=True):
        patch.set_alpha(alpha)
    gap = ax.vlines(
        bar.confidence[filled], bar.accuracy[filled], bar.confidence[filled], colors=style.RED, linewidth=2.4
    )
    gap.set_zorder(4)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    style.tidy(ax, MODELS[model])
    ax.legend(
        [gap],
        [f"gap to the diagonal\nECE {100 * bar.ece:.2f} %"],
        loc="upper left",
        framealpha=0.85,
        edgecolor="white",
        fontsize=9,
    )


def _histogram_panel(ax: "Axes", model: str, bar: Reliability, samples: int) -> None:
    ax.bar(np.arange(BINS) / BINS, bar.counts, 1 / BINS, align="edge", color=style.COLOURS[model], edgecolor="white")
    ax.set_yscale("log")
    ax.set_ylim(0.7, 2 * samples)
    style.tidy(ax, "", "confidence")
