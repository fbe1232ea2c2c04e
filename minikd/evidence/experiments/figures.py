"""An experiment's rows as dots with their intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minikd.evidence.experiments.rows import ExperimentReport, ResultRow
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "teacher": (style.INK, "s", "teacher"),
    "baseline": (style.ORANGE, "^", "baseline: labels alone"),
    "student": (style.BLUE, "o", "taught by a method"),
}
"""Colour, marker and meaning of each role. The markers can be distinguished without colour."""


def dots(report: ExperimentReport, title: str, line: str = "") -> "Figure":
    """Draw each row's mean test errors with its interval and its seeds, best first; a line at the row named `line`."""
    rows = sorted(report["rows"], key=lambda row: row["mean"])
    figure = style.new_figure(9, 1.6 + 0.3 * len(rows), title)
    ax = figure.subplots()
    for place, row in enumerate(rows):
        colour, marker, _ = LOOKS[row["role"]]
        ax.plot(row["errors"], [place] * len(row["errors"]), "|", color=style.GREY, markersize=7)
        ax.errorbar(row["mean"], place, xerr=row["half"] or 0, fmt=marker, color=colour, markersize=6, capsize=3)
    for row in rows:
        if row["name"] == line:
            ax.axvline(row["mean"], color=LOOKS[row["role"]][0], linestyle="--", linewidth=1)
    ax.set_yticks(range(len(rows)), [style.label(row["name"], 40) for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(left=max(0.0, ax.get_xlim()[0]))  # the interval of two seeds may reach below 0
    style.tidy(ax, "", "errors on the test images (mean, 95 % interval; | one seed)")
    legend(ax, rows)
    return figure


def legend(ax: "Axes", rows: Sequence[ResultRow]) -> None:
    """Explain the markers above the axes."""
    from matplotlib.lines import Line2D

    roles = [role for role in LOOKS if any(row["role"] == role for row in rows)]
    marks = [Line2D([], [], color=LOOKS[role][0], marker=LOOKS[role][1], linestyle="") for role in roles]
    words = [LOOKS[role][2] for role in roles]
    ax.legend(marks, words, frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
