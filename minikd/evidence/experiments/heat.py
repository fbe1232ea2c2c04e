"""A grid of rows as a heat map, with the baseline's line on its scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minikd.evidence.experiments.rows import ExperimentReport
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat_map(
    report: ExperimentReport,
    title: str,
    axes: Sequence[tuple[str, Sequence[str]]],
    names: Sequence[Sequence[str]],
) -> "Figure":
    """Draw mean test errors over two settings, with the difference from the baseline below each number.

    A line on the colour scale marks the baseline. axes: the title and ticks of x, then of y. names: the rows' names,
    (y, x). The cell of a failed row stays empty.
    """
    mean = {row["name"]: row["mean"] for row in report["rows"]}
    baseline = next((row["name"] for row in report["rows"] if row["role"] == "baseline"), "")
    values = np.array([[mean.get(name, np.nan) for name in line] for line in names])
    figure = style.new_figure(8, 5.6, title)
    ax = figure.subplots()
    seen = [*values[np.isfinite(values)], *([mean[baseline]] if baseline in mean else [])] or [0.0]
    room = max(1.0, 0.05 * (max(seen) - min(seen)))
    low, high = float(min(seen) - room), float(max(seen) + room)
    # The lightness of cividis rises evenly, so it works for colour-blind readers and in grey prints
    shown = ax.imshow(values, cmap="cividis_r", vmin=low, vmax=high, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = value > (low + high) / 2
            words = f"{value:.1f}" + (f"\n({value - mean[baseline]:+.1f})" if baseline in mean else "")
            ax.text(x, y, words, ha="center", va="center", fontsize=9, color="white" if dark else style.INK)
    (x_title, x_ticks), (y_title, y_ticks) = axes
    ax.set_xticks(range(len(x_ticks)), x_ticks)
    ax.set_yticks(range(len(y_ticks)), y_ticks)
    style.tidy(ax, "in brackets: more or fewer than the baseline", x_title, y_title, grid=False)
    scale = figure.colorbar(shown, ax=ax, label="errors on the test images, mean over seeds")
    if baseline in mean:
        scale.ax.axhline(mean[baseline], color=style.RED, linewidth=2)
        scale.ax.text(-0.2, mean[baseline], "baseline", color=style.RED, ha="right", va="center", fontsize=9)
    return figure
