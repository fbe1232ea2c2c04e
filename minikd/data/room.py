"""Checks that a data set fits into memory, before memory is allocated."""

from minikd.console.notices import notice
from minikd.memory import in_words, require
from minikd.typing import Shape

AT_A_TIME = 100
"""Number of images that a network processes together."""

LARGE = 512 * 512
"""Number of pixels of an image from which a network takes gigabytes for a hundred images."""


def require_room(count: int, image: Shape, pixel_bytes: int, where: str) -> None:
    """Refuse `count` images (C, H, W) that memory cannot hold. Raises `SizeError`.

    The estimate counts the images twice, as stored and as reordered in training. It counts a hundred images as float32,
    before and after normalisation. For large images it counts the output of a network's first filters for two images.
    Networks take more, depending on their size.
    """
    channels, height, width = image
    numbers = channels * height * width
    size = 2 * count * numbers * pixel_bytes + min(count, AT_A_TIME) * numbers * 8
    if height * width > LARGE:
        size += 2 * filtered(height, width)
    require(size, f"{where}: {count:,} images of {height}x{width} pixels", smaller(height, width))


def filtered(height: int, width: int) -> int:
    """Return the bytes of the output of a network's first filters, usually 32, for one image."""
    return 32 * 4 * height * width


def tell_large(image: Shape, where: str) -> None:
    """Print a notice if images (C, H, W) are large for a network."""
    _, height, width = image
    if height * width > LARGE:
        layer = in_words(filtered(height, width))
        notice(
            f"{where}: images of {height}x{width} pixels are large for a network, whose first 32 filters alone would "
            f"take {layer} an image; {smaller(height, width)}"
        )


def smaller(height: int, width: int) -> str:
    """Say how to get smaller images with the same aspect ratio."""
    longest = max(height, width)
    size = f"{max(1, round(64 * height / longest))}x{max(1, round(64 * width / longest))}"
    return f"make them smaller with --image-size, such as --image-size {size}, or give fewer"
