"""Reads many pictures from disk into one array, one by one, and reports all problems together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minikd.console.notices import notice
from minikd.data.depth import FIX, Depth
from minikd.data.pictures import channels_first, read_picture, stretched
from minikd.data.room import require_room
from minikd.data.shown import first_names, shown
from minikd.data.unreadable import Unreadable
from minikd.errors import DataError

TOLD = 10
"""Number of bad files that a message names; further ones are only counted."""


class OtherSize(DataError):
    """A picture of another size than the first."""


@dataclass
class PictureSet:
    """Collects the pictures of the data set `name`, which has `count` pictures.

    All are stretched to `size` (height, width), or must have the size of the first.
    """

    name: str
    count: int
    size: tuple[int, int] | None
    coloured: bool = False
    first: tuple[Path, int, int] | None = None
    pixels: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    bad: list[Unreadable] = field(default_factory=list)
    differing: list[OtherSize] = field(default_factory=list)
    depths: list[tuple[Path, Depth]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Read one more picture, or note what is wrong with it. Raises `SizeError`."""
        try:
            seen = read_picture(path, self.admit)
            picture = stretched(seen.picture, self.size)
            self.check_first(path, picture.height, picture.width)
        except Unreadable as error:
            self.bad.append(error)
            return
        except OtherSize as error:
            self.differing.append(error)
            return
        if seen.depth and seen.depth.highest > 0:
            self.depths.append((path, seen.depth))
        if not seen.whole:
            self.damaged.append(shown(path))
        pixels = channels_first(picture)
        coloured = bool((pixels != pixels[:1]).any())
        if coloured and not self.coloured:
            self.coloured = True
            require_room(self.count, pixels.shape, 1, self.name)
        self.pixels.append(pixels if coloured else pixels[:1])

    def admit(self, path: Path, height: int, width: int) -> None:
        """Admit a picture if its header states the size of the first picture, upright or turned."""
        if self.size is None and self.first and sorted(self.first[1:]) != sorted((height, width)):
            self.check_first(path, height, width)

    def check_first(self, path: Path, height: int, width: int) -> None:
        """For the first picture, check that the set fits into memory; for others, refuse another size."""
        if self.first is None:
            require_room(self.count, (1, height, width), 1, self.name)
            self.first = path, height, width
        first_path, *first = self.first
        if first != [height, width]:
            size = f"{first[0]}x{first[1]}"
            raise OtherSize(
                f"pictures differ in size: {shown(first_path)} is {size}, {shown(path)} is {height}x{width} "
                f"(height x width); resize them all with --image-size {size}"
            )

    def report_problems(self) -> None:
        """Refuse the set if something is wrong with a picture; print which pictures lost metadata."""
        if len(self.bad) == 1:
            raise self.bad[0]
        if self.bad:
            listed = "; ".join(f"{shown(one.path)}: {one.reason}" for one in self.bad[:TOLD])
            more = f"; and {len(self.bad) - TOLD:,} more" if len(self.bad) > TOLD else ""
            raise DataError(
                f"{self.name}: {len(self.bad):,} of {self.count:,} pictures cannot be read: {listed}{more}; "
                "put whole PNG, JPEG, BMP, GIF, TIFF or WebP files there, or remove them"
            )
        if self.differing:
            raise self.differing[0]
        check_alike(self.depths, self.name)
        if self.damaged:
            notice(
                f"{self.name}: the metadata of {len(self.damaged):,} pictures are damaged; they are used as they are "
                f"stored, not turned upright: {first_names(self.damaged, 3)}"
            )

    def images(self) -> npt.NDArray[np.uint8]:
        """Return the pictures as (N, C, H, W), grey if all of them are grey."""
        channels = max(len(pixels) for pixels in self.pixels)
        images = np.empty((len(self.pixels), channels, *self.pixels[0].shape[1:]), np.uint8)
        for image, pixels in zip(images, self.pixels, strict=True):
            image[...] = pixels  # a grey picture fills all three channels of a colour one
        return images


def read_pictures(name: str, files: Sequence[Path], size: tuple[int, int] | None) -> npt.NDArray[np.uint8]:
    """Return pictures as uint8 (N, C, H, W), grey (C = 1) if red, green and blue are the same in all of them.

    They are stretched to `size` (height, width); without it, all must have the same size. Raises `DataError`, which
    names up to ten files that cannot be read. Raises `SizeError` if they do not fit into memory, before allocating it.
    """
    pictures = PictureSet(name, len(files), size)
    if size:
        require_room(len(files), (1, *size), 1, name)
    for path in files:
        pictures.read(path)
    pictures.report_problems()
    return pictures.images()


def check_alike(depths: list[tuple[Path, Depth]], name: str) -> None:
    """Refuse pictures with more than 8 bits if their white differs or is unclear, because all must be scaled alike."""
    by_white: dict[float, tuple[Path, Depth]] = {}
    for path, depth in depths:
        by_white.setdefault(depth.white, (path, depth))
    if len(by_white) > 1:
        (one, first), (other, second), *_ = by_white.values()
        raise DataError(
            f"{name}: the pictures have different values for white: {first.white:g} in {shown(one)}, "
            f"{second.white:g} in "
            f"{shown(other)}; {FIX.replace('save it', 'save them all')}"
        )
    unclear = [path for path, depth in depths if depth.unclear]
    highest = max((depth for _, depth in depths), key=lambda depth: depth.highest, default=None)
    if unclear and highest and highest.highest < highest.certain:
        raise DataError(
            f"{name}: {len(depths):,} pictures have more than 8 bits a channel, but none holds a number above "
            f"{highest.highest:g}, and the files do not tell which value is white ({shown(unclear[0])}): "
            f"{highest.white:.0f} would "
            f"make all dark; "
            f"{FIX.replace('save it', 'save them all')}"
        )
