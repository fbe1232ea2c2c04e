"""Pictures with more than 8 bits for each channel: which number is white, and how they become 8 bits.

The file may state its white by its format, a chunk or a tag. Otherwise white is the largest number that a channel can
hold. If all numbers are small, it is unclear whether the picture is nearly black or the file keeps 8 or 12 bits in 16.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minikd.data.chunks import significant_bits
from minikd.data.unreadable import Unreadable
from minikd.typing import Ints

if TYPE_CHECKING:
    from PIL import Image

CUSTOMARY = (1, 2, 4, 8, 10, 12, 14, 16)
"""The numbers of bits that cameras and scanners use."""

CERTAIN = 2**14
"""From this number on, a picture certainly has 16 bits."""

DEFAULT = (15, 16, 31, 32)
"""Numbers of bits of the largest sample in TIFF's tags if nobody has set them, with and without a sign."""

SIXTEEN_BITS = re.compile("(?<!BGR);16|SGI16")
"""Matches Pillow's names for raw modes with 16 bits. "BGR;16" is not one: it has three channels in 16 bits together."""

BITS, PHOTOMETRIC, LARGEST, SAMPLE_FORMAT, LARGEST_OF_FORMAT = 258, 262, 281, 339, 341
"""TIFF's tags."""

SIGNED = 2
"""TIFF's sample format of whole numbers with a sign."""

FIX = "save it with 8 bits a channel, white as 255"


class White(NamedTuple):
    """What a file's header says: the number that is white, and whether the file states it.

    significant: a PNG's number of bits before they were spread over 16; 0 if it does not state it. coarse: Pillow keeps
    only the upper 8 of 16 bits. inverted: 0 is white.
    """

    value: float
    stated: bool = False
    significant: int = 0
    coarse: bool = False
    inverted: bool = False


class Depth(NamedTuple):
    """The result: the number taken as white, whether the file states it, and the highest number in the picture."""

    white: float
    stated: bool
    highest: float

    @property
    def certain(self) -> float:
        """The number from which on a pixel needs all bits of the white, so that the white is certain."""
        return max(CERTAIN, self.white / 4)

    @property
    def unclear(self) -> bool:
        """True if it is unclear whether the picture is nearly black or its white is lower."""
        return not self.stated and 0 < self.highest < self.certain


def white_of(file: "Image.Image", path: Path) -> White | None:
    """Return what the header of a picture says about its white; None for 8 bits for each channel."""
    if file.mode[0] not in "IF":
        coarse = SIXTEEN_BITS.search(str(getattr(file, "tile", "")))
        return White(65535, coarse=True) if coarse else None
    if file.format == "TIFF":
        return white_of_tiff(getattr(file, "tag_v2", {}), file.mode)
    return White(65535, significant=significant_bits(path) if file.format == "PNG" else 0)


def white_of_tiff(tags: dict[int, object], mode: str) -> White:
    """Return the white that a TIFF's tags state: the usual depth for its largest sample, else the bits of a sample.

    A largest sample that is the largest value of its bits means nothing, because programs write it by default.
    """
    inverted = tags.get(PHOTOMETRIC) == 0
    largest = number(tags.get(LARGEST_OF_FORMAT)) or number(tags.get(LARGEST))
    if largest and mode == "F":
        return White(largest, stated=True, inverted=inverted)
    if largest:
        bits = next((bits for bits in CUSTOMARY if largest < 2**bits), int(largest).bit_length())
        return White(2**bits - 1, stated=bits not in DEFAULT, inverted=inverted)
    bits = int(number(tags.get(BITS)) or 16)
    if bits == 16 and number(tags.get(SAMPLE_FORMAT)) == SIGNED:
        return White(32767, inverted=inverted)
    return White(2 ** min(bits, 16) - 1, stated=bits < 16, inverted=inverted)


def number(value: object) -> float | None:
    """Return the number in a tag, which may hold anything; None if it is not a number above 0."""
    first = value[0] if isinstance(value, tuple) and value else value
    try:
        found = float(first)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return found if 0 < found < 2**32 else None


def eight_bit(picture: "Image.Image", white: White, path: Path) -> tuple["Image.Image", Depth]:
    """Return the picture with 8 bits for each channel, and its depth.

    Raises `Unreadable` for numbers outside 0 to white.
    """
    from PIL import Image

    if white.coarse:
        channels = np.asarray(picture)
        colours = channels[..., :-1] if picture.mode[-1] in "Aa" else channels
        highest = int(colours.max()) * 256 + 255
        return picture, Depth(white.value, white.stated, highest)
    values = np.asarray(picture)
    low, high = values.min().item(), values.max().item()
    if white.significant:
        white = unspread(values.astype(np.int64), white)
    if not (low >= 0 and high <= white.value) or (picture.mode == "F" and not white.stated):
        needed = f"whole numbers from 0 to {white.value:g} are needed"
        raise Unreadable(path, f"it holds pixels from {low} to {high} (mode {picture.mode}), but {needed}", FIX)
    scaled = values * (255 / white.value) if picture.mode == "F" else values.astype(np.int64) * 255 // int(white.value)
    pixels = scaled.astype(np.uint8)
    if white.inverted:
        pixels = 255 - pixels
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        pixels[values == clear] = 255  # white paper
    return Image.fromarray(pixels), Depth(white.value, white.stated, high)


def unspread(values: Ints, white: White) -> White:
    """Return the white of a PNG that states how many bits are significant.

    By the standard, these bits are spread over 16 bits: the lower bits are zero, or repeat the upper bits. Some
    programs do not spread them. For small numbers it can be unclear which is the case.
    """
    bits = white.significant
    spare = 16 - bits
    if values.max() >= 2**bits:
        return white._replace(stated=True)
    lower = values % 2**spare
    spread = not lower.any() or np.array_equal(lower, values >> bits)
    return white if spread else White(2**bits - 1, stated=True)
