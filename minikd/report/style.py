"""How every figure looks: colours for every eye and for grey printers, axes without clutter, labels that are safe."""

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikd.data.ink import is_ink as is_ink
from minikd.terminal import one_line
from minikd.typing import Floats, Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color Universal Design": told apart by every common kind of colour vision.
BLUE, ORANGE, GREEN, RED, INK, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#1A1A1A", "#9A9A9A"
COLOURS = {"teacher": INK, "student_baseline": ORANGE, "student_distilled": BLUE}
LINES = {"teacher": (":", "s"), "student_baseline": ("--", "^"), "student_distilled": ("-", "o")}
"""Line and marker of each model, so that a grey print still tells them apart."""


def load() -> None:
    """Import matplotlib as it is made, whatever its user's backend and files say: these could end a run at its figures.

    Afterwards `rcParams` has the user's backend where that is one; his matplotlibrc has not been read.
    """
    if "matplotlib" in sys.modules:
        return
    log = logging.getLogger("matplotlib")  # which tells of folders that it cannot write to
    level, users = log.level, {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    log.setLevel(logging.CRITICAL)
    os.environ["MATPLOTLIBRC"] = os.devnull
    in_the_way = Path("matplotlibrc").is_file()  # in the current folder, where it is looked for first
    try:
        with chdir(os.sep) if in_the_way else nullcontext():
            import matplotlib.figure
    finally:
        log.setLevel(level)
        del os.environ["MATPLOTLIBRC"]
        os.environ.update({name: value for name, value in users.items() if value is not None})
    with suppress(ValueError):
        matplotlib.rcParams.update({"backend": users["MPLBACKEND"]} if users["MPLBACKEND"] else {})


@contextmanager
def defaults() -> Iterator[None]:
    """Draw as matplotlib does by default until the end, whatever the program around has changed."""
    load()
    from matplotlib import rc_context, rcParams, rcParamsDefault

    with rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of some of its own defaults
            for name in rcParamsDefault.keys() - {"backend"}:
                rcParams[name] = rcParamsDefault[name]
        yield


def new_figure(width: float, height: float, title: str) -> "Figure":
    """Return an empty figure of so many inches, under a title that says what it shows."""
    load()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07, wspace=0.03)
    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def tidy(ax: "Axes", title: str = "", x: str = "", y: str = "", grid: bool = True) -> "Axes":
    """Give an axes its title and labels, without the frame's right and upper edge."""
    ax.set_title(title, loc="left", fontsize=10.5, color=INK)
    ax.set_xlabel(x, fontsize=9.5)
    ax.set_ylabel(y, fontsize=9.5)
    ax.tick_params(labelsize=9, color=GREY)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(color="#E6E6E6", linewidth=0.8)
    return ax


def label(name: str, longest: int = 16) -> str:
    """Return a class name fit for a figure: one line, its middle cut out if long, and no `$` that starts a formula."""
    line = one_line(" ".join(name.split()))
    if len(line) > longest:
        end = (longest - 1) // 2
        line = f"{line[: longest - 1 - end]}…{line[-end:]}"
    return line.replace("$", r"\$")


def class_ticks(names: Sequence[str], most: int = 30) -> tuple[list[int], list[str]]:
    """Return positions and labels of a class axis, thinned out to every second, fifth, ... where they would overlap."""
    steps = (1, 2, 5, 10, 20, 25, 50, 100)
    step = next((step for step in steps if len(names) / step <= most), len(names))
    positions = list(range(0, len(names), step))
    return positions, [label(names[position]) for position in positions]


def picture(image: Pixels) -> Floats:
    """Return one image (C, H, W) as (H, W) or, in colour, (H, W, 3), in 0-1; other channel counts are averaged."""
    scaled: Floats = np.clip(image / (255 if image.dtype == np.uint8 else 1), 0, 1)
    if len(scaled) == 3:
        return scaled.transpose(1, 2, 0)
    mean: Floats = scaled.mean(axis=0)
    return mean


def show_picture(ax: "Axes", image: Pixels, on_paper: bool) -> None:
    """Draw one image (C, H, W); `on_paper` shows light ink on a black ground as dark ink on white."""
    ax.imshow(picture(image), cmap="gray_r" if on_paper else "gray", vmin=0, vmax=1, interpolation="nearest")
    blank(ax)


def blank(ax: "Axes") -> None:
    """Take ticks, frame and ground from an axes that holds a picture, or nothing."""
    ax.patch.set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def mosaic(tiles: Floats, columns: int) -> Floats:
    """Return tiles (M, H, W) or (M, H, W, 3) as one picture in rows, with gaps of NaN a small part of a tile wide."""
    zoom = max(1, -(-24 // max(tiles.shape[1:3])))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    gap = max(1, tiles.shape[2] // 12)
    rows = -(-len(tiles) // columns)
    height, width = tiles.shape[1] + gap, tiles.shape[2] + gap
    sheet = np.full((rows * height - gap, columns * width - gap, *tiles.shape[3:]), np.nan)
    for index, tile in enumerate(tiles):
        row, column = index // columns * height, index % columns * width
        sheet[row : row + height - gap, column : column + width - gap] = tile
    return sheet


def all_positive(values: Iterable[float], spread: float = 5) -> bool:
    """Return whether a logarithmic axis helps: nothing at 0, and the largest many times the smallest."""
    numbers = list(values)
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= spread
