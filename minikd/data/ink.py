"""Finds a character in a picture, crops it, scales it and centres it, as MNIST's authors did.

MNIST's digits were scaled to fit a box of 20 x 20 pixels, and then moved so that their centre of mass is in the middle
of 28 x 28 pixels. A network that has learned from such images expects every digit in this form.
`exports/web/picture.js` does the same in an exported page; a test compares the two.

A plane is a grey image, uint8 (H, W); ink is light on black.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from minikd.typing import Ints, Pixels

Plane = npt.NDArray[np.uint8]

SHADE = 1 / 3
"""Grey levels nearer to the background than this share of the largest distance are shade on the paper."""

FAINTEST = 40
"""If no grey level is this far from the background, there is no ink."""

TRACE = 24
"""Ink up to this grey level does not widen the frame."""


DUST = 0.02
"""Strokes smaller than this share of the largest stroke are dust."""


APART, WHOLE = 0.1, 0.5
"""Parts of the ink are separate characters if the gap between them is at least `APART` of the ink's height, and each is
at least `WHOLE` of the height of the highest. Lower parts are dots. Nearer parts are broken strokes of one
character."""

SOME = 1000
"""Number of training images that are examined."""


class Frame(NamedTuple):
    """A part of a plane: its upper left pixel, its width and its height."""

    left: int
    top: int
    width: int
    height: int


class Centred(NamedTuple):
    """A character as a network expects it, its frame in the picture, and its frame now."""

    plane: Plane
    found: Frame
    placed: Frame


def is_ink(images: Pixels) -> bool:
    """Return whether images are light strokes on black, as MNIST's are: grey, and more than half of it exactly 0."""
    return images.shape[1] == 1 and float(np.median(images[:500])) == 0


def ink_box(images: Pixels, class_names: tuple[str, ...]) -> int:
    """Return the longer side of the ink in most images (N, C, H, W): 20 pixels for MNIST's 28.

    0 if they are not square images of characters in ink, all of about the same size and in the middle. In such images
    size or position may have a meaning, so pictures must not be cropped.
    """
    characters = all(len((name.split() or [""])[0]) == 1 for name in class_names)
    _, height, width = images.shape[1:]
    if not characters or height != width or not is_ink(images):
        return 0
    some = images[:: max(1, len(images) // SOME), 0]
    some = some[some.any((1, 2))]
    ink = some > 0
    sides = np.maximum(ink.any(2).sum(1), ink.any(1).sum(1))  # rows and columns with ink; a gap inside is rare
    low, box, high = np.quantile(sides, (0.25, 0.5, 0.75)) if len(some) else (0, 0, 0)
    off = [abs(at + 0.5 - width / 2) for plane in some for at in centre_of_mass(plane)]
    alike = len(some) > 0 and high - low <= box / 4 and np.quantile(off, 0.75) <= width / 8
    return int(box) if alike else 0


def ground_of(plane: Plane) -> int:
    """Return the median grey level of a plane."""
    return int(np.partition(plane.ravel(), plane.size // 2)[plane.size // 2])


def ink_of(plane: Plane) -> tuple[Plane, bool]:
    """Return ink on paper as ink on black, and whether it was darker than the paper.

    The background becomes 0, and the grey levels farthest from it become 255.
    """
    ground = ground_of(plane)
    below, above = ground - int(plane.min()), int(plane.max()) - ground
    darker, far = below > above, max(below, above)
    if far < FAINTEST:
        return np.zeros_like(plane), darker
    depth = ground - np.arange(256) if darker else np.arange(256) - ground
    table = 255 * np.clip((depth / far - SHADE) * 2, 0, 1)
    return strokes_of(np.floor(table + 0.5).astype(np.uint8)[plane]), darker


def strokes_of(ink: Plane) -> Plane:
    """Return the ink without dust and without strokes that reach into a corner, such as a frame or a table's edge.

    If there are no other strokes, those that reach into a corner stay.
    """
    from scipy.ndimage import label

    parts, _ = label(ink > TRACE, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel().astype(np.intp))
    sizes[0] = 0
    inner = sizes.copy()
    inner[parts[[0, 0, -1, -1], [0, -1, 0, -1]]] = 0
    if inner.max() >= DUST * sizes.max():
        sizes = inner
    dropped = sizes < DUST * sizes.max()
    dropped[0] = False  # the faint edges of strokes
    return np.where(dropped[parts], np.uint8(0), ink)


def frame_of(ink: Plane) -> Frame | None:
    """Return the part of a plane that contains all ink; None if there is no ink."""
    rows, columns = (np.flatnonzero((ink > TRACE).any(axis)) for axis in (1, 0))
    if not rows.size:
        return None
    left, top = int(columns[0]), int(rows[0])
    return Frame(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


def characters_in(ink: Plane) -> int:
    """Return the number of characters side by side or one below another; 0 if there is no ink."""
    frame = frame_of(ink)
    if frame is None:
        return 0
    cut = ink[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] > TRACE
    beside = [cut[:, part] for part in split_at_gaps(cut.any(0), APART * frame.height)]
    below = [cut[part] for part in split_at_gaps(cut.any(1), APART * frame.height)]
    return max(count_high_parts(beside), count_high_parts(below))


def split_at_gaps(inked: npt.ArrayLike, gap: float) -> list[Ints]:
    """Return the numbers of the lines with ink, in parts that are separated by at least `gap` lines without ink."""
    lines = np.flatnonzero(np.asarray(inked))
    return np.split(lines, np.flatnonzero(np.diff(lines) - 1 >= max(1, gap)) + 1)


def count_high_parts(parts: list[npt.NDArray[np.bool_]]) -> int:
    """Return how many parts are high enough, compared with the highest, to be characters."""
    heights = [int(np.ptp(np.flatnonzero(part.any(1)))) + 1 for part in parts]
    return sum(height >= WHOLE * max(heights) for height in heights)


def centre_of_mass(ink: Pixels) -> tuple[float, float]:
    """Return the mean position (x, y) of the ink, weighted by its grey, in pixels from the upper left one."""
    mass = ink.sum(dtype=np.float64)
    x, y = (float(ink.sum(axis, dtype=np.float64) @ np.arange(ink.shape[1 - axis]) / mass) for axis in (0, 1))
    return x, y


def centred(ink: Plane, size: int, box: int) -> Centred | None:
    """Return the ink, its longer side scaled to `box`, its centre of mass in the middle of `size` x `size` pixels.

    The ink is moved by whole pixels, and not across the edge. Returns None if there is no ink.
    """
    from PIL import Image

    found = frame_of(ink)
    if found is None:
        return None
    cut = ink[found.top : found.top + found.height, found.left : found.left + found.width]
    scale = box / max(cut.shape)
    width, height = (max(1, rounded(side * scale)) for side in (found.width, found.height))
    small = np.asarray(Image.fromarray(cut).resize((width, height), Image.Resampling.BILINEAR))
    x, y = centre_of_mass(small)
    placed = Frame(
        clamp(rounded(size / 2 - x), size - width), clamp(rounded(size / 2 - y), size - height), width, height
    )
    plane = np.zeros((size, size), np.uint8)
    plane[placed.top : placed.top + height, placed.left : placed.left + width] = small
    return Centred(plane, found, placed)


def rounded(value: float) -> int:
    """Return the nearest whole number; halves are rounded up, as in JavaScript."""
    return math.floor(value + 0.5)


def clamp(value: int, most: int) -> int:
    """Return the value, limited to the range from 0 to `most`."""
    return min(max(value, 0), most)
