"""The figure of `minikd predict --explain`: a picture, what the models saw of it, and their answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.data.ink import Frame, centre_of_mass
from minikd.distillation.results import MODELS
from minikd.distillation.seeing import PreparedPicture
from minikd.report import style
from minikd.report.figures import png
from minikd.storage.files import make_folder, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIKELIEST = 5
"""The number of classes that are drawn for each model."""


def write_explanation(path: Path, name: str, seen: PreparedPicture, answers: Mapping[str, Mapping[str, float]]) -> None:
    """Draw it and write it as a PNG file. If its folder is missing, make it.

    answers: each model's probabilities by class name. Raises CheckpointError if the file cannot be written.
    """
    make_folder(path.parent)
    with style.defaults():
        write_atomically(path, png(explanation(name, seen, answers)))


def explanation(name: str, seen: PreparedPicture, answers: Mapping[str, Mapping[str, float]]) -> "Figure":
    """Draw the picture with the frame of the cut-out part, what the models saw, and each model's likeliest classes."""
    figure = style.new_figure(3 * (2 + len(answers)) - 1, 3.6, style.label(Path(name).name, 60))
    axes = figure.subplots(1, 2 + len(answers), width_ratios=(1.15, 1.15, *[1] * len(answers)))
    _, height, width = seen.pixels.shape
    for ax, pixels, frame, title in (
        (axes[0], seen.picture, seen.found, "the picture"),
        (axes[1], seen.pixels, seen.placed, f"what the models saw, {width} × {height}"),
    ):
        ax.imshow(style.picture(pixels), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        style.blank(ax)
        ax.set_title(title, loc="left", fontsize=10.5, color=style.INK)
        if frame:
            _frame(ax, frame)
    if seen.placed:
        axes[1].plot(*centre_of_mass(seen.pixels[0]), "+", color=style.ORANGE, markersize=14, markeredgewidth=2)
    for ax, (model, chances) in zip(axes[2:], answers.items(), strict=True):
        _bars(ax, MODELS[model], chances)
    figure.supxlabel(style.label(seen.how, 200), x=0.012, ha="left", fontsize=9, color="#5A5A5A", wrap=True)
    return figure


def _frame(ax: "Axes", frame: Frame) -> None:
    """Draw a frame around pixels. The centre of the first pixel is at 0."""
    from matplotlib.patches import Rectangle

    corner = frame.left - 0.5, frame.top - 0.5
    ax.add_patch(Rectangle(corner, frame.width, frame.height, fill=False, edgecolor=style.ORANGE, linewidth=1.5))


def _bars(ax: "Axes", name: str, chances: Mapping[str, float]) -> None:
    """Draw a model's likeliest classes, the best at the top."""
    best = sorted(chances, key=chances.__getitem__, reverse=True)[:LIKELIEST]
    values = [chances[label] for label in best]
    ax.barh(range(len(best)), values, color=[style.BLUE, *[style.GREY] * (len(best) - 1)])
    for place, value in enumerate(values):
        ax.text(value + 0.03, place, f"{value:.1%}", va="center", fontsize=9, color=style.INK)
    style.tidy(ax, name, "probability")
    ax.set_yticks(range(len(best)), [style.label(label, 12) for label in best])
    ax.set_xlim(0, 1.35)
    ax.set_xticks([0, 0.5, 1])
    ax.invert_yaxis()
