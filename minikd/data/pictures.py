"""Pictures from disk as pixels: PNG, JPEG, BMP, GIF (its first frame), TIFF and WebP, by Pillow."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minikd.errors import DataError
from minikd.typing import Pixels, Shape

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
WITH_ALPHA = ("LA", "PA", "RGBA", "RGBa")


def load_image(path: str | Path, image_shape: Shape, invert: bool = False) -> npt.NDArray[np.uint8]:
    """Return one picture as a network of this image shape (C, H, W) expects it: uint8 in 0-255.

    It is made grey (C = 1) or RGB (C = 3) and stretched to H x W by area-aware bilinear interpolation; nothing is cut
    off, centred or thresholded. `invert` turns light and dark around: MNIST's digits are white on black, so ink on
    paper needs it. Raises `DataError` where the file is no readable picture.
    """
    channels, height, width = image_shape
    picture = read_picture(Path(path)).convert("L" if channels == 1 else "RGB")
    pixels = channels_first(stretched(picture, (height, width)))
    return np.subtract(255, pixels, dtype=np.uint8) if invert else pixels


def read_pixels(path: Path, size: tuple[int, int] | None) -> npt.NDArray[np.uint8]:
    """Return a picture as (1, H, W) where red, green and blue are the same everywhere, and (3, H, W) otherwise."""
    picture = stretched(read_picture(path), size)
    pixels = channels_first(picture)
    return pixels if (pixels != pixels[:1]).any() else pixels[:1]


def read_picture(path: Path) -> "Image.Image":
    """Return the picture, upright, in mode L or RGB of 8 bits, transparent parts as white paper."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            file.load()
            return opaque(eight_bit(ImageOps.exif_transpose(file), path))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise DataError(
            f"{path} cannot be read as a picture: {reason}; give a whole PNG, JPEG, BMP, GIF, TIFF or WebP file"
        ) from error


def eight_bit(picture: "Image.Image", path: Path) -> "Image.Image":
    """Return the picture with 8 bits a channel: 16-bit grey is divided by 257, other depths are refused."""
    from PIL import Image

    if picture.mode[0] not in "IF":
        return picture
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise DataError(
            f"{path} holds pixels from {values.min()} to {values.max()} (mode {picture.mode}), "
            "but 8 or 16 bits a channel are needed; save it as an 8-bit PNG"
        )
    return Image.fromarray((values // 257).astype(np.uint8))


def opaque(picture: "Image.Image") -> "Image.Image":
    """Return the picture in mode L or RGB, laid on white where it is transparent."""
    from PIL import Image

    if picture.mode in WITH_ALPHA or "transparency" in picture.info:
        see_through = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, see_through).convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def stretched(picture: "Image.Image", size: tuple[int, int] | None) -> "Image.Image":
    """Return the picture at `size` (height, width), or itself where it has that size already or None is asked."""
    from PIL import Image

    if size is None or picture.size == (size[1], size[0]):
        return picture
    return picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def channels_first(picture: "Image.Image") -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture in mode L or RGB as (1, H, W) or (3, H, W)."""
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def resized(images: Pixels, size: tuple[int, int]) -> Pixels:
    """Return images (N, C, H, W) stretched to `size` (height, width), in their own dtype."""
    from PIL import Image

    planes = images.reshape(-1, *images.shape[2:])
    out: Pixels = np.empty_like(images, shape=(len(planes), *size))
    for plane, target in zip(planes, out, strict=True):
        target[...] = np.asarray(stretched(Image.fromarray(plane), size))
    return out.reshape(*images.shape[:2], *size)
