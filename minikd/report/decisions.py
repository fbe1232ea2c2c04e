"""The figures of the answers: which classes are confused, and whether a confidence is reliable."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minikd.distillation.results import MODELS
from minikd.metrics import Reliability, confusion_matrix, reliability
from minikd.report import style
from minikd.report.figure_data import FigureData

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

COUNTED = 15
"""With at most this many classes, every cell of a confusion matrix has room for its number."""
BINS = 15
FEW = 10
"""A bin with fewer samples is drawn pale, because its bar is mostly chance."""


def confusion(evidence: FigureData, narrow: bool = False) -> "Figure":
    """Draw the confusion matrices of teacher and distilled student. Mistakes have colours, the diagonal is grey."""
    models = ("teacher", "student_distilled")
    matrices = {model: confusion_matrix(evidence.logits[model], evidence.test_labels) for model in models}
    largest = max(1, *(int(_mistakes(matrix).max()) for matrix in matrices.values()))
    width, height = (style.NARROW, 8.9) if narrow else (11.5, 5.9)
    title = _confusion_title(matrices["student_distilled"], evidence.class_names)
    figure = style.new_figure(width, height, style.wrapped(title, width))
    axes = figure.subplots(*(2, 1) if narrow else (1, 2))
    for ax, (model, matrix) in zip(axes, matrices.items(), strict=True):
        image = _matrix(ax, matrix, largest, evidence.class_names)
        ax.set_title(f"{MODELS[model]}: {_mistakes(matrix).sum():,} errors", loc="left", fontsize=10.5)
        if len(matrix) > COUNTED:
            from matplotlib.ticker import MaxNLocator

            bar = figure.colorbar(image, ax=ax, shrink=0.75, ticks=MaxNLocator(integer=True))
            bar.set_label("test images", fontsize=9)
    return figure


def _matrix(ax: "Axes", matrix: npt.NDArray[np.int64], largest: int, names: tuple[str, ...]) -> "AxesImage":
    shown = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
    image = ax.imshow(shown, cmap=_blues(), vmin=0, vmax=largest, interpolation="none")
    style.tidy(ax, "", "taken for", "true class", grid=False)
    ax.set_facecolor(style.PANEL)
    positions, labels = style.class_ticks(names)
    words = max(map(len, labels)) > 3
    ax.set_xticks(positions, labels, rotation=45 if words else 0, ha="right" if words else "center")
    ax.set_yticks(positions, labels)
    ax.tick_params(length=0)
    ax.spines[:].set(visible=True, color=style.LINE)
    if len(matrix) <= COUNTED:
        _write_counts(ax, matrix, largest)
    return image


def _blues() -> "Colormap":
    """Return a blue that is transparent for 0, and strong enough to show one mistake among thousands of answers."""
    return style.densities(style.BLUE, (0, *np.linspace(0.2, 1, 255)))


def _mistakes(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return matrix - np.diag(np.diag(matrix))


def _confusion_title(matrix: npt.NDArray[np.int64], names: tuple[str, ...]) -> str:
    mistakes = _mistakes(matrix)
    if not mistakes.any():
        return "The distilled student makes no mistake on these images"
    true, taken = divmod(int(mistakes.argmax()), len(mistakes))
    times = f"{mistakes[true, taken]:,} time{'' if mistakes[true, taken] == 1 else 's'}"
    pair = f"{style.label(names[true])} taken for {style.label(names[taken])}"
    return f"The distilled student's commonest mistake: {pair}, {times}"


def _write_counts(ax: "Axes", matrix: npt.NDArray[np.int64], largest: int) -> None:
    size = 9 if len(matrix) <= 10 else 7.5
    for true, taken in np.ndindex(matrix.shape):
        number = int(matrix[true, taken])
        if true == taken:
            ax.text(taken, true, f"{number}", ha="center", va="center", fontsize=size - 1, color=style.SOFT)
        elif number:
            colour = style.ON_COLOUR if number > 0.5 * largest else style.INK
            ax.text(taken, true, f"{number}", ha="center", va="center", fontsize=size, color=colour)


def reliability_diagram(evidence: FigureData, narrow: bool = False) -> "Figure":
    """For each model, draw accuracy against confidence in bins, and below it the distribution of the confidences."""
    bars = {model: reliability(evidence.logits[model], evidence.test_labels, BINS) for model in MODELS}
    best = min(bars, key=lambda model: bars[model].ece)
    title = f"Best calibrated: the {MODELS[best]}, with an ECE of {100 * bars[best].ece:.2f} %"
    width, height = (style.NARROW, 10.5) if narrow else (11, 5.7)
    figure = style.new_figure(width, height, style.wrapped(title, width))
    if narrow:
        grid = figure.subplots(2 * len(MODELS), 1, height_ratios=len(MODELS) * (2.2, 1)).reshape(-1, 2).T
    else:
        grid = figure.subplots(2, len(MODELS), sharex=True, sharey="row", height_ratios=(2.6, 1))
    for column, (model, bar) in enumerate(bars.items()):
        marks = _reliability_panel(grid[0, column], model, bar)
        _histogram_panel(grid[1, column], model, bar, len(evidence.test_labels))
        if narrow or column == 0:
            grid[0, column].set_ylabel("accuracy in the bin", fontsize=9.5)
            grid[1, column].set_ylabel("images", fontsize=9.5)
    gaps = "gap between accuracy and mean confidence (ECE is their mean)"
    names = ("where accuracy equals confidence", style.wrapped(gaps, width - 0.6, 9.5))
    columns = 1 if narrow else 2
    figure.legend(marks, names, loc="outside lower left", ncols=columns, frameon=False, fontsize=9.5)
    return figure


def _reliability_panel(ax: "Axes", model: str, bar: Reliability) -> list["Artist"]:
    """Draw the bars, and return what the legend explains: the diagonal and the gaps."""
    filled = bar.counts > 0
    left, heights, confidence = np.flatnonzero(filled) / BINS, bar.accuracy[filled], bar.confidence[filled]
    diagonal = ax.plot([0, 1], [0, 1], "--", color=style.GREY, linewidth=1, zorder=3)
    drawn = ax.bar(left, heights, 1 / BINS, align="edge", color=style.COLOURS[model], edgecolor="white")
    for patch, count in zip(drawn, bar.counts[filled].tolist(), strict=True):
        patch.set_alpha(0.35 if count < FEW else 1)
    gaps = ax.vlines(confidence, heights, confidence, colors=style.RED, linewidth=2.4, zorder=4)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    style.tidy(ax, f"{MODELS[model]}: ECE {100 * bar.ece:.2f} %")
    return [*diagonal, gaps]


def _histogram_panel(ax: "Axes", model: str, bar: Reliability, samples: int) -> None:
    from matplotlib.ticker import FuncFormatter

    ax.bar(np.arange(BINS) / BINS, bar.counts, 1 / BINS, align="edge", color=style.COLOURS[model], edgecolor="white")
    ax.set_yscale("log")
    ax.set_ylim(0.7, max(10, 2 * samples))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    style.tidy(ax, "", "confidence")
