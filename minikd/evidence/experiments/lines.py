"""An experiment's rows over a number: a line for each role."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from minikd.evidence.experiments.figures import LOOKS
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STROKES = {"teacher": ":", "baseline": "--", "student": "-"}
ASIDE = {"teacher": 0.96, "baseline": 1.0, "student": 1.04}
"""Horizontal factors for each role, so that no interval hides another."""


def lines(report: ExperimentReport, title: str, x: str, places: Mapping[str, float]) -> "Figure":
    """Draw mean test errors with their intervals over a number, both logarithmic; `places` has each row's number."""
    figure = style.new_figure(8, 5, title)
    ax = figure.subplots()
    for role, (colour, marker, meaning) in LOOKS.items():
        rows = sorted((row for row in report["rows"] if row["role"] == role), key=lambda row: places[row["name"]])
        if rows:
            ax.errorbar(
                [places[row["name"]] * ASIDE[role] for row in rows],
                [row["mean"] for row in rows],
                yerr=[row["half"] or 0 for row in rows],
                label=meaning,
                color=colour,
                marker=marker,
                linestyle=STROKES[role],
                capsize=3,
            )
    ax.set_xscale("log")
    ax.set_yscale("log", nonpositive="clip")
    round_numbers(ax.xaxis, (1.0, 3.0))
    round_numbers(ax.yaxis, (1.0, 2.0, 5.0))
    style.tidy(ax, "", x, "errors on the test images (mean, 95 % interval)")
    ax.legend(frameon=False, fontsize=9)
    return figure


def round_numbers(axis: "Axis", steps: tuple[float, ...]) -> None:
    """Put plain numbers on a logarithmic axis: these multiples of the powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_locator(NullLocator())
