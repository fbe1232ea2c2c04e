"""The figure about temperature: the teacher's probabilities for the classes other than its answer."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minikd.data.ink import is_ink
from minikd.losses import softmax
from minikd.report import style
from minikd.report.figure_data import FigureData
from minikd.typing import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 20.0)
GUESSES = (0.75, 0.2)
"""The two largest probabilities of the image to look for: the second can be seen, and the first is clearly larger."""
BARS = 10
"""The number of classes that fit into a panel. If there are more, the likeliest are drawn."""


def soft_targets(evidence: FigureData, narrow: bool = False) -> "Figure":
    """Draw one test image with the teacher's answer at several temperatures, and the mean entropy against T."""
    logits = np.asarray(evidence.logits["teacher"], dtype=np.float64)
    chosen = interesting(logits, evidence.test_labels)
    shown, order = _classes(logits[chosen]), np.argsort(logits[chosen])[::-1]
    temperatures = sorted({*TEMPERATURES, evidence.temperature})
    columns = 2 if narrow else 1 + len(temperatures)
    rows = -(-(1 + len(temperatures)) // columns)

    width, upper_height, lower_height = (style.NARROW, 2.3 * rows, 3.0) if narrow else (11, 3.4, 2.8)
    title = style.wrapped(_title(evidence, logits[chosen], order), width)
    figure = style.new_figure(width, upper_height + lower_height, title)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(upper_height, lower_height))[:, 0]
    widths = None if narrow else (1.3, *[1] * len(temperatures))
    axes = upper.subplots(rows, columns, squeeze=False, width_ratios=widths).ravel()
    style.show_picture(axes[0], evidence.test_images[chosen], is_ink(evidence.test_images))
    axes[0].set_title(f"test image {chosen}", loc="left", fontsize=10.5, color=style.INK)
    for ax in axes[1 + len(temperatures) :]:
        ax.set_axis_off()
    for number, (ax, temperature) in enumerate(zip(axes[1:], temperatures, strict=False), 1):
        probabilities = softmax(logits[chosen : chosen + 1], temperature)[0]
        _bars(ax, probabilities[shown], [_colour(k, order) for k in shown])
        mark = " (this run)" if temperature == evidence.temperature else ""
        style.tidy(ax, f"T = {temperature:g}{mark}", "probability" if number + columns > len(temperatures) else "")
        ax.set_xlim(0, 1.18)
        ax.set_xticks([0, 0.5, 1])
        names = [style.label(evidence.class_names[k], 7 if narrow else 12) for k in shown]
        ax.set_yticks(range(len(shown)), names if narrow or number == 1 else [])
    _entropy_panel(lower, logits, evidence.temperature)
    return figure


def _title(evidence: FigureData, logits: Floats, order: npt.NDArray[np.intp]) -> str:
    """Return the teacher's probabilities for the image at the run's temperature."""
    probabilities = softmax(logits[None], evidence.temperature)[0]
    guesses = (f"{style.label(evidence.class_names[k])} {probabilities[k]:.2f}" for k in order[:2])
    return f"At T = {evidence.temperature:g} the teacher says of this image: {', '.join(guesses)}"


def mean_entropy(logits: Floats, temperature: float) -> float:
    """Return the mean entropy of softmax(logits / T) over the samples, in nats.

    0 is certain; ln K is a uniform guess.
    """
    p = softmax(logits, temperature)
    return float(-(p * np.log(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=1).mean())


def interesting(logits: Floats, labels: Ints) -> int:
    """Return a sample with a clear second guess. The teacher gets it right, unless it gets all samples wrong."""
    guesses = np.sort(softmax(logits), axis=1)[:, : -1 - len(GUESSES) : -1]
    distance = np.abs(guesses - GUESSES[: guesses.shape[1]]).sum(axis=1) + 2.0 * (logits.argmax(axis=1) != labels)
    return int(distance.argmin())


def _classes(logits: Floats) -> npt.NDArray[np.intp]:
    """Return the classes to draw, in class order: all, or the likeliest if there are many."""
    return np.sort(np.argsort(logits)[::-1][:BARS])


def _colour(k: int, order: npt.NDArray[np.intp]) -> str:
    return style.BLUE if k == order[0] else style.ORANGE if k == order[1] else style.GREY


def _bars(ax: "Axes", probabilities: Floats, colours: list[str]) -> None:
    ax.barh(range(len(probabilities)), probabilities.tolist(), color=colours, height=0.72)
    ax.invert_yaxis()
    for row, value in enumerate(probabilities.tolist()):
        if value >= 0.005:
            ax.text(value + 0.03, row, f"{value:.2f}", va="center", fontsize=8, color=style.INK)


def _entropy_panel(figure: "SubFigure", logits: Floats, chosen: float) -> None:
    """Draw the mean entropy against T. Two thousand samples are enough."""
    from matplotlib.ticker import NullLocator

    sample = logits[:2000]
    temperatures = np.geomspace(0.5, max(50.0, 2 * chosen), 40)
    ax = figure.subplots()
    limit = float(np.log(logits.shape[1]))
    ax.plot(temperatures, [mean_entropy(sample, t) for t in temperatures.tolist()], color=style.INK, linewidth=1.8)
    ax.axhline(limit, color=style.GREY, linestyle="--", linewidth=1)
    ax.text(0.5, limit, f"ln {logits.shape[1]}: all classes alike", va="bottom", fontsize=9, color=style.SOFT)
    here = mean_entropy(sample, chosen)
    ax.plot([chosen], [here], "o", color=style.BLUE, markersize=8)
    ax.annotate(f"this run, T = {chosen:g}", (chosen, here), (9, -12), textcoords="offset points", fontsize=9)
    ax.set_xscale("log")
    ax.set_xticks([0.5, *TEMPERATURES, 50], [f"{t:g}" for t in (0.5, *TEMPERATURES, 50)])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(0, 1.18 * max(limit, 0.1))
    style.tidy(ax, "The teacher's soft targets flatten as T grows", "temperature T", "mean entropy / nats")
