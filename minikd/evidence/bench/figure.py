"""The figure of the benchmark: the times of the others as multiples of minikd's, on a logarithmic axis."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from minikd.evidence.bench.rows import BenchRow
from minikd.evidence.bench.run import BenchReport
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

BARS = {
    "default": ("PyTorch, defaults", style.ORANGE, ""),
    "best": ("PyTorch, its best configuration", style.BLUE, "///"),
    "roofline": ("the matrix products alone", "#D0D0D0", "..."),
}
"""Name, colour and hatch of each bar. The hatch distinguishes them in a grey print."""

NEAR = 1.3
"""A target up to this many times a bar's length would be on top of the bar's number."""


def ratio_figure(report: BenchReport) -> "Figure":
    """Draw a group of bars for each work. A bar's length is the ratio to minikd; a mark shows the target."""
    rows = [row for row in report["rows"] if shown(row)]
    figure = style.new_figure(10, 1.7 + 0.75 * len(rows), "Time and memory, as multiples of minikd's")
    ax = figure.subplots()
    for place, row in enumerate(rows):
        group(ax, place, row)
    ax.axvline(1, color=style.INK, linewidth=1.2)
    ax.set_xscale("log")
    ax.set_yticks(range(len(rows)), [label(row) for row in rows])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    scale(ax, [value for row in rows for value in shown(row).values()])
    style.tidy(ax, "", "times minikd's (right of 1: minikd takes less; ◆ the target)")
    ax.grid(False, axis="y")
    ax.legend(*legend(), frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure


def shown(row: BenchRow) -> dict[str, float]:
    """Return a work's bars, by kind."""
    found = {"default": row["ratio_default"], "best": row["ratio_best"]}
    if row["ratio_roofline"]:
        found["roofline"] = 1 / row["ratio_roofline"]
    return {kind: value for kind, value in found.items() if value is not None}


def group(ax: "Axes", place: int, row: BenchRow) -> None:
    """Draw one work's bars."""
    targets = {"default": row["target_default"], "best": row["target_best"]}
    bars = shown(row)
    height = 0.8 / len(BARS)
    for i, (kind, value) in enumerate(bars.items()):
        _, colour, hatch = BARS[kind]
        y = place + (i - (len(bars) - 1) / 2) * height
        ax.barh(y, value - 1, height * 0.9, left=1, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
        target = targets.get(kind)
        if target:
            ax.plot([target], [y], "D", color=style.INK, markersize=5, markeredgecolor="white", markeredgewidth=0.8)
        beside = target if target and 1 <= value <= target < NEAR * value else value  # the text is next to the mark
        ax.text(beside, y, f"  {value:.2f}  ", va="center", ha="left" if beside >= 1 else "right", fontsize=8.5)


def label(row: BenchRow) -> str:
    """Return a work's title, with minikd's own time or bytes."""
    from minikd.evidence.bench.table import megabytes, milliseconds

    own = milliseconds(row["minikd_ms"]) if row["minikd_mb"] is None else megabytes(row["minikd_mb"])
    return f"{row['title']}\nminikd {own}"


def scale(ax: "Axes", values: list[float]) -> None:
    """Put round numbers on the axis, and leave room for the numbers at the ends of the bars."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xlim(min([0.4, *values]) / 1.5, max([2.0, *values]) * 1.5)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def legend() -> "tuple[list[Patch], list[str]]":
    """Return the legend's patches and their texts."""
    from matplotlib.patches import Patch

    made: Mapping[str, Patch] = {
        name: Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0)
        for name, colour, hatch in BARS.values()
    }
    return list(made.values()), list(made)
