"""All figures of a run, drawn one after the other and written as PNG files."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.files import write_atomically
from minikd.report import style
from minikd.report.curves import training_curves
from minikd.report.decisions import confusion, reliability_diagram
from minikd.report.evidence import Evidence
from minikd.report.pictures import disagreements, first_layer_filters
from minikd.report.softness import soft_targets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120

FIGURES: dict[str, Callable[[Evidence], "Figure"]] = {
    "training_curves": training_curves,
    "soft_targets": soft_targets,
    "confusion_matrix": confusion,
    "reliability_diagram": reliability_diagram,
    "first_layer_filters": first_layer_filters,
    "disagreements": disagreements,
}
"""Every figure by the name of its file, in the order of the report."""


def write_figures(evidence: Evidence, folder: Path) -> dict[str, Path]:
    """Draw every figure and write it to `folder`/NAME.png, made if it is missing; return the paths by name.

    Raises `CheckpointError` where a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    with style.defaults():
        for name, draw in FIGURES.items():
            written[name] = folder / f"{name}.png"
            write_atomically(written[name], png(draw(evidence)))
    return written


def png(figure: "Figure") -> bytes:
    """Return a figure as the bytes of a PNG file, the same for the same figure."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A class name may be in a script that the bundled font lacks; its box in the figure says so well enough.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "minikd"})
    return buffer.getvalue()
