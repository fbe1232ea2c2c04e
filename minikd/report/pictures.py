"""The figures that consist of pictures: filters of the first layers, and images on which the students disagree."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minikd.data.ink import is_ink
from minikd.distillation.results import MODELS
from minikd.report import style
from minikd.report.figure_data import FigureData
from minikd.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

UNITS = 32
"""The number of filters that are shown of each model."""
COLUMNS = 8
"""The number of disagreements in a row."""
ROWS = 2
"""The number of rows for each group: one student right, the other right, or neither."""


def first_layer_filters(evidence: FigureData, narrow: bool = False) -> "Figure":
    """Draw each model's first-layer weights. Both students are shown with the same hidden units."""
    models, width = [model for model in MODELS if model in evidence.filters], style.NARROW if narrow else 11.5
    title = "What the first layers look for: blue counts for a unit, red against it"
    if any(evidence.filters[model].shape[1] == 3 for model in models):
        title = "What the first layers look for: a bright colour counts for a unit, grey is 0"
    if not models:
        figure = style.new_figure(width, 1.4, style.wrapped(title, width))
        figure.text(0.012, 0.1, "No first-layer filters were recorded.", fontsize=10.5, color=style.INK)
        return figure
    sheets = {model: _sheet(np.asarray(evidence.filters[model])[_units(evidence, model)]) for model in models}
    tallness = [sheet.shape[0] / sheet.shape[1] for sheet, _ in sheets.values()]
    height = sum(0.4 + min(3.9 * one, 8) for one in tallness) if narrow else min(3.6 * max(tallness), 8)
    figure = style.new_figure(width, 1.1 + height, style.wrapped(title, width))
    axes = figure.subplots(*(len(models), 1) if narrow else (1, len(models)), squeeze=False).ravel()
    for ax, model in zip(axes, models, strict=True):
        weights, (sheet, limit), units = evidence.filters[model], sheets[model], _units(evidence, model)
        ax.imshow(sheet, cmap=_signs(), vmin=-limit, vmax=limit, interpolation="none")
        style.blank(ax)
        size = f"{weights.shape[2]} × {weights.shape[3]}"
        chosen = "all" if len(units) == len(weights) else f"{len(units)} of"
        ax.set_title(f"{MODELS[model]}: {chosen} {len(weights)}, {size}", loc="left", fontsize=10.5)
    if MODELS.keys() - {"teacher"} <= evidence.filters.keys():
        note = "Both students started from the same weights: the same place shows the same hidden unit."
        figure.supxlabel(style.wrapped(note, width, 9.5), x=0.012, ha="left", fontsize=9.5, color=style.SOFT)
    return figure


def _signs() -> "Colormap":
    """Return red for values below 0, blue for values above 0, and transparent for 0, for any background."""
    from matplotlib.colors import ListedColormap, to_rgb

    densities = np.linspace(-1, 1, 255)
    return ListedColormap([(*to_rgb(style.BLUE if one > 0 else style.RED), abs(one)) for one in densities])


def _units(evidence: FigureData, model: str) -> npt.NDArray[np.intp]:
    """Return the filters with the largest norms, in order. For both students, the norms are the distilled student's."""
    ranked = evidence.filters.get("student_distilled", evidence.filters[model])
    if model == "teacher" or len(ranked) != len(evidence.filters[model]):
        ranked = evidence.filters[model]
    norms = np.square(ranked.reshape(len(ranked), -1).astype(np.float64)).sum(axis=1)
    return np.argsort(-norms, kind="stable")[:UNITS]


def _sheet(weights: Floats) -> tuple[Floats, float]:
    """Return filters (M, C, H, W) as one picture, and the symmetric limit of its values.

    Three channels become colours.
    """
    limit = float(np.quantile(np.abs(weights), 0.995)) or 1.0
    columns = min(8, len(weights))
    if weights.shape[1] == 3:
        colours = np.clip(0.5 + weights / (2 * limit), 0, 1).transpose(0, 2, 3, 1)
        return np.nan_to_num(style.mosaic(colours, columns), nan=1.0), limit
    return style.mosaic(weights.mean(axis=1), columns), limit


def disagreements(evidence: FigureData, narrow: bool = False) -> "Figure":
    """Draw test images on which the two students differ, with who is right, and with the teacher's answer."""
    groups, (width, columns) = disagreeing(evidence), (style.NARROW, 3) if narrow else (11.5, COLUMNS)
    total, samples = sum(map(len, groups.values())), len(evidence.test_labels)
    if total == 0:
        width = style.NARROW if narrow else 10
        agree = f"The two students agree on all {samples:,} test images"
        figure = style.new_figure(width, 1.4, style.wrapped(agree, width))
        figure.text(0.012, 0.1, "There is nothing to show here.", fontsize=10.5, color=style.INK)
        return figure
    rows = [
        (f"{name}: {len(found):,}" if start == 0 else "", found[start : start + columns])
        for name, found in groups.items()
        for start in range(0, min(len(found), ROWS * columns), columns)
    ]
    aspect = min(evidence.test_images.shape[2] / evidence.test_images.shape[3], 3)
    headings = sum(bool(heading) for heading, _ in rows)
    height = 0.5 + (1.16 * aspect + 0.84) * len(rows) + 0.4 * headings
    title = style.wrapped(f"The students disagree on {total:,} of {samples:,} images", width)
    figure = style.new_figure(width, height, title)
    on_paper = is_ink(evidence.test_images)
    for axes, (heading, found) in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for ax in axes:
            style.blank(ax)
        for ax, sample in zip(axes, found.tolist(), strict=False):  # the last row of a group may have fewer pictures
            _case(ax, evidence, sample, on_paper, 7 if narrow else 10)
        if heading:
            axes[0].set_title(" \n ", fontsize=14)  # room for the heading: as a title, it would make its column wider
            _note(axes[0], heading, (0, 1), 6, style.INK, size=11).set_fontweight("bold")
    return figure


def disagreeing(evidence: FigureData) -> dict[str, npt.NDArray[np.intp]]:
    """Return the samples on which the students differ, sorted by who is right."""
    labels = evidence.test_labels
    alone, taught = evidence.predictions("student_baseline"), evidence.predictions("student_distilled")
    kinds = {
        "Only the distilled student is right": (taught == labels) & (alone != labels),
        "Only the baseline is right": (alone == labels) & (taught != labels),
        "Both are wrong, each in its own way": (alone != taught) & (alone != labels) & (taught != labels),
    }
    return {name: np.flatnonzero(kind) for name, kind in kinds.items()}


def _case(ax: "Axes", evidence: FigureData, sample: int, on_paper: bool, longest: int) -> None:
    """Draw one image, and below it its class and each model's answer. Names have at most `longest` letters."""
    style.show_picture(ax, evidence.test_images[sample], on_paper)
    true = int(evidence.test_labels[sample])
    lines = [(f"true {style.label(evidence.class_names[true], longest)}", style.INK)]
    for model, name in ("student_baseline", "baseline"), ("student_distilled", "distilled"), ("teacher", "teacher"):
        predicted = int(evidence.logits[model][sample].argmax())
        mark, colour = ("✓", style.GREEN) if predicted == true else ("✗", style.RED)
        lines.append((f"{mark} {name} {style.label(evidence.class_names[predicted], longest)}", colour))
    for row, (text, colour) in enumerate(lines):
        _note(ax, text, (0, 0), -12 - 11 * row, colour)


def _note(
    ax: "Axes", text: str, corner: tuple[float, float], up: float, colour: str, size: float = 8.5
) -> "Annotation":
    """Write `text` this many points above a corner of the axes. The layout ignores the text's width."""
    note = ax.annotate(text, corner, (0, up), xycoords="axes fraction", textcoords="offset points", color=colour)
    note.set_fontsize(size)
    note.set_in_layout(corner[1] == 0)
    return note
