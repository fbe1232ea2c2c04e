"""The style of all figures: colours that differ in grey print and for colour-blind readers, plain axes, safe labels."""

import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikd.console.terminal import one_line
from minikd.typing import Floats, Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color Universal Design": they differ for every common kind of colour vision.
BLUE, ORANGE, GREEN, RED, INK, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#1A1A1A", "#9A9A9A"
SOFT, LINE, GRID, PANEL = "#5A5A5A", "#D0D0D0", "#E6E6E6", "#EFEFEF"
ON_COLOUR = "#FFFFFE"
"""White that stays white on a dark page, for text on a dark colour."""
INK_PICTURE = "ink-picture"
"""The beginning of the id of a picture that is drawn as ink on paper. On a dark page, it becomes light on dark."""
NARROW = 4.2
"""The width in inches of a figure for a narrow screen.

Its text has the same size as in a wide figure on a wide screen.
"""
LARGEST = 96
"""The most pixels of a picture's longer side. Larger pictures are reduced."""
COLOURS = {"teacher": INK, "student_baseline": ORANGE, "student_distilled": BLUE}
LINES = {"teacher": (":", "s"), "student_baseline": ("--", "^"), "student_distilled": ("-", "o")}
"""The line and the marker of each model, so that they differ in a grey print too."""


def load() -> None:
    """Import matplotlib with its defaults.

    The user's backend or configuration file could make the figures of a run fail.

    Afterwards, `rcParams` has the user's backend if it is valid. The user's matplotlibrc is not read.
    """
    if "matplotlib" in sys.modules:
        return
    log = logging.getLogger("matplotlib")  # matplotlib warns of folders to which it cannot write
    level, users = log.level, {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    log.setLevel(logging.CRITICAL)
    os.environ["MATPLOTLIBRC"] = os.devnull
    in_the_way = Path("matplotlibrc").is_file()  # matplotlib looks for it first in the current folder
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
    """Inside the `with` block, draw with matplotlib's defaults, whatever the user's program has changed."""
    load()
    from matplotlib import rc_context, rcParams, rcParamsDefault

    with rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # matplotlib warns of some of its own defaults
            for name in rcParamsDefault.keys() - {"backend"}:
                rcParams[name] = rcParamsDefault[name]
        yield


def new_figure(width: float, height: float, title: str) -> "Figure":
    """Return an empty figure of this size in inches, with a title above it."""
    load()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07, wspace=0.03)
    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def tidy(ax: "Axes", title: str = "", x: str = "", y: str = "", grid: bool = True) -> "Axes":
    """Set the title and labels of an axes, and remove the right and upper edge of its frame."""
    ax.set_title(title, loc="left", fontsize=10.5, color=INK)
    ax.set_xlabel(x, fontsize=9.5)
    ax.set_ylabel(y, fontsize=9.5)
    ax.tick_params(labelsize=9, color=GREY)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(color=GRID, linewidth=0.8)
    return ax


def wrapped(text: str, width: float, size: float = 13) -> str:
    """Return a text in lines that fit a figure of this width in inches, for letters of this size in points."""
    return textwrap.fill(text, max(12, int(112 * width / size)))


def short(name: str, longest: int = 16) -> str:
    """Return a class name on one line. A long name loses its middle."""
    line = one_line(" ".join(name.split()))
    if len(line) > longest:
        end = (longest - 1) // 2
        line = f"{line[: longest - 1 - end]}…{line[-end:]}"
    return line


def label(name: str, longest: int = 16) -> str:
    """Return a class name for a figure: short, and without a `$` that would start a formula."""
    return short(name, longest).replace("$", r"\$")


def class_ticks(names: Sequence[str], most: int = 30) -> tuple[list[int], list[str]]:
    """Return positions and labels of a class axis. If labels would overlap, only every second, fifth, ... is kept."""
    steps = (1, 2, 5, 10, 20, 25, 50, 100)
    step = next((step for step in steps if len(names) / step <= most), len(names))
    positions = list(range(0, len(names), step))
    return positions, [label(names[position]) for position in positions]


def picture(image: Pixels) -> Floats:
    """Return one image (C, H, W) as (H, W) or, in colour, (H, W, 3), in 0-1. Other numbers of channels are averaged."""
    scaled: Floats = np.clip(image / (255 if image.dtype == np.uint8 else 1), 0, 1)
    if len(scaled) == 3:
        return scaled.transpose(1, 2, 0)
    mean: Floats = scaled.mean(axis=0)
    return mean


def show_picture(ax: "Axes", image: Pixels, on_paper: bool) -> None:
    """Draw one image (C, H, W). `on_paper` shows light ink on black as dark ink on white."""
    colours = densities("#000000", np.linspace(0, 1, 256)) if on_paper else "gray"
    shown = ax.imshow(small(picture(image)), vmin=0, vmax=1, interpolation="none", cmap=colours)
    if on_paper:
        shown.set_gid(INK_PICTURE)
    blank(ax)


def blank(ax: "Axes") -> None:
    """Remove ticks, frame and background from an axes with a picture, or with nothing."""
    ax.patch.set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def mosaic(tiles: Floats, columns: int) -> Floats:
    """Return tiles (M, H, W) or (M, H, W, 3) as one picture in rows, with narrow gaps of NaN."""
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
    """Return whether a logarithmic axis helps: no value is 0, and the largest is many times the smallest."""
    numbers = list(values)
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= spread


def densities(colour: str, opacities: Iterable[float]) -> "Colormap":
    """Return a colour map from transparent to one colour, for any background."""
    from matplotlib.colors import ListedColormap, to_rgb

    return ListedColormap([(*to_rgb(colour), opacity) for opacity in opacities])


def small(image: Floats) -> Floats:
    """Return a picture (H, W) or (H, W, 3) with at most `LARGEST` pixels a side.

    A larger one becomes means of blocks.
    """
    side = -(-max(image.shape[:2]) // LARGEST)
    rows, columns = (max(1, length // side) for length in image.shape[:2])
    if side == 1 or min(image.shape[:2]) < side:
        return image
    squares = image[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    means: Floats = squares.mean(axis=(1, 3)).reshape(rows, columns, *image.shape[2:])
    return means
