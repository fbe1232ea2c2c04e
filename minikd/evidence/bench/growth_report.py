"""Shows the growth of time and memory as text and as a figure."""

from typing import TYPE_CHECKING

from minikd.console.layout import aligned, paragraph
from minikd.evidence.bench.growth import Growth, Series, line
from minikd.evidence.bench.table import machine_lines, megabytes, milliseconds, ratio_and_target
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def text(found: Growth) -> str:
    """Return a line for each series, then the batch's memory and the threads."""
    header = (
        ("how it grows", "from", "to", "time", "off a", "memory", "off a"),
        ("", "", "", "", "line", "", "line"),
    )
    rows = [series_cells(series) for series in found["series"].values()]
    ratio = ratio_and_target(found["batch_mb"] / found["activations_mb"], 1.0, at_most=True)
    batch = (
        f"one image more in the batch: {1000 * found['batch_mb']:.0f} kB more at the highest moment; its activations "
        f"are {1000 * found['activations_mb']:.0f} kB: times {ratio}"
    )
    threads = found["threads"]
    speed = (
        f"the teacher's step on 1 thread {milliseconds(threads['one_ms'])}, on {threads['threads']} "
        f"{milliseconds(threads['all_ms'])}: times {ratio_and_target(threads['ratio'], threads['target'])}"
    )
    return "\n\n".join(
        [aligned(header, rows), f"{paragraph(batch)}\n{paragraph(speed)}", machine_lines(found["machine"], [])]
    )


def series_cells(series: Series) -> tuple[str, ...]:
    """Return the line of a series: its ends, and the ratio of the last point to the first."""
    x, ms, mb = series["x"], series["ms"], series["mb"]
    return (
        f"{series['title']} by {series['axis']}",
        f"{x[0]:,}",
        f"{x[-1]:,} (×{x[-1] / x[0]:.3g})",
        f"{milliseconds(ms[0])} to {milliseconds(ms[-1])} (×{ms[-1] / ms[0]:.2f})",
        f"{100 * series['off_line_ms']:.0f} %",
        f"{megabytes(mb[0])} to {megabytes(mb[-1])} (×{mb[-1] / mb[0]:.2f})",
        f"{100 * series['off_line_mb']:.0f} %",
    )


def growth_figure(found: Growth) -> "Figure":
    """Draw time above and memory below, each series with its line. Every axis starts at 0."""
    figure = style.new_figure(11, 6.4, "How time and memory grow: what was measured, and the straight lines through it")
    upper, lower = figure.subplots(2, 3)
    for ax, series in zip(upper, found["series"].values(), strict=True):
        panel(ax, series["x"], series["ms"], f"{series['title']}: within {series['off_line_ms']:.0%} of its line")
        style.tidy(ax, ax.get_title(loc="left"), "", "time / ms")
    for ax, series in zip(lower, found["series"].values(), strict=True):
        panel(ax, series["x"], series["mb"], "")
        style.tidy(ax, "", series["axis"], "highest memory / MB")
    x = found["series"]["batch"]["x"]
    per_image = found["activations_mb"]
    lower[2].plot([0, x[-1]], [0, per_image * x[-1]], "--", color=style.GREY, label="the batch's activations alone")
    lower[2].legend(frameon=False, fontsize=8.5)
    return figure


def panel(ax: "Axes", x: list[int], y: list[float], title: str) -> None:
    """Draw the points and their line."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    slope, height = line(x, y)
    ax.plot([0, x[-1]], [height, slope * x[-1] + height], "-", color=style.BLUE, linewidth=1.4)
    ax.plot(x, y, "o", color=style.INK, markersize=5)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlim(0)
    ax.set_ylim(0, 1.1 * max(y))
    ax.set_title(title, loc="left")
