"""Draws all figures of a run as SVG files: one file for a wide screen and one for a narrow screen."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.report import style
from minikd.report.captions import caption
from minikd.report.curves import training_curves
from minikd.report.decisions import confusion, reliability_diagram
from minikd.report.figure_data import FigureData
from minikd.report.pictures import disagreements, first_layer_filters
from minikd.report.soft_targets import soft_targets
from minikd.report.svg import svg
from minikd.storage.files import make_folder, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120

FIGURES: dict[str, Callable[[FigureData, bool], "Figure"]] = {
    "training_curves": training_curves,
    "soft_targets": soft_targets,
    "confusion_matrix": confusion,
    "reliability_diagram": reliability_diagram,
    "first_layer_filters": first_layer_filters,
    "disagreements": disagreements,
}
"""Every figure by the name of its file, in the order of the report. With the flag, it is drawn for a narrow screen."""


def write_figures(evidence: FigureData, folder: Path) -> dict[str, Path]:
    """Draw every figure into `folder` as NAME.svg and NAME-narrow.svg. Return the paths by name.

    The folder is made if it is missing. The path is that of the wide figure; `narrow_of` gives the other. Raises
    `CheckpointError` if a file cannot be written.
    """
    make_folder(folder)
    written = {}
    with style.defaults():
        for name, draw in FIGURES.items():
            words, path = caption(name, evidence), folder / f"{name}.svg"
            write_atomically(narrow_of(path), svg(draw(evidence, True), f"{name}-narrow", words))
            write_atomically(path, svg(draw(evidence, False), name, words))
            written[name] = path
    return written


def narrow_of(path: Path) -> Path:
    """Return the path of the same figure for a narrow screen."""
    return path.with_name(f"{path.stem}-narrow{path.suffix}")


def figures_of(folder: Path) -> dict[str, Path]:
    """Return the complete figures in a run's folder: NAME.svg, or NAME.png of an earlier version."""
    found = {}
    for name in FIGURES:
        drawn, earlier = (folder / "figures" / f"{name}{ending}" for ending in (".svg", ".png"))
        if drawn.is_file() and narrow_of(drawn).is_file():
            found[name] = drawn
        elif earlier.is_file():
            found[name] = earlier
    return found


def has_figures(folder: Path) -> bool:
    """True if no figure of a run is missing."""
    return len(figures_of(folder)) == len(FIGURES)


def png(figure: "Figure") -> bytes:
    """Return a figure as the bytes of a PNG file. The same figure always gives the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The included font may lack the letters of a class name. Then the figure shows boxes, and no warning is needed.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "minikd"})
    return buffer.getvalue()
