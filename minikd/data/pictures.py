"""Reads one picture from disk with Pillow: PNG, JPEG, BMP, GIF (its first frame), TIFF and WebP."""

import io
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from minikd.console.notices import notice
from minikd.data.chunks import without_metadata
from minikd.data.depth import FIX, Depth, eight_bit, white_of
from minikd.data.shown import shown
from minikd.data.unreadable import Unreadable
from minikd.errors import DataError, MinikdError
from minikd.memory import in_words, require
from minikd.typing import Pixels, Shape

if TYPE_CHECKING:
    from PIL import Image

WITH_ALPHA = ("LA", "PA", "RGBA", "RGBa")
ORIENTATION = 0x0112

MOST_BYTES = 10**9
"""Maximum memory in bytes to decode one picture; a photo of 12000x9000 pixels takes 0.9 GB."""

MOST_REPAIRED = 2**28
"""Maximum size in bytes of a file that is read again as a whole, without its metadata."""

Admit = Callable[[Path, int, int], None]
"""Called with a picture's height and width from its header, before it is decoded. It raises an error to refuse the
picture."""


class DecodedPicture(NamedTuple):
    """A picture in mode L or RGB; its depth, if it had more than 8 bits; whether its metadata were complete."""

    picture: "Image.Image"
    depth: Depth | None
    whole: bool


def load_image(path: str | Path, image_shape: Shape, invert: bool = False) -> npt.NDArray[np.uint8]:
    """Return one picture as a network of this image shape (C, H, W) expects it: uint8 in 0-255.

    It is converted to grey (C = 1) or RGB (C = 3) and stretched to H x W by area-aware bilinear interpolation. Nothing
    is cropped, centred or thresholded. `invert` exchanges light and dark: MNIST's digits are white on black, so ink on
    paper needs it. Pixels with more than 8 bits are scaled as in training, by the white that the file states. A notice
    says if the file states no white and all pixels are small. Raises `DataError` if the file is not a readable picture.
    """
    channels, *size = image_shape
    pixels = channels_first(stretched(picture_in(Path(path), channels), (size[0], size[1])))
    return np.subtract(255, pixels, dtype=np.uint8) if invert else pixels


def picture_in(path: Path, channels: int) -> "Image.Image":
    """Return one picture at its own size, grey for 1 channel, RGB for 3. A notice says what was lost.

    Raises `DataError` if the file is not a readable picture.
    """
    seen = read_picture(path)
    report_decoding(seen, path)
    return seen.picture.convert("L" if channels == 1 else "RGB")


def report_decoding(seen: DecodedPicture, path: Path) -> None:
    """Print what was lost of one picture. Refuse one that would become black if its white is unclear."""
    if not seen.whole:
        notice(f"{shown(path)}: its metadata are damaged; it is used as it is stored, not turned upright")
    if seen.depth is None or not seen.depth.unclear:
        return
    found = (
        f"{shown(path)} has more than 8 bits a channel, but no number above {seen.depth.highest:g}, and does not say "
        f"which is white: {seen.depth.white:.0f} makes it"
    )
    if seen.depth.highest * 255 < seen.depth.white or seen.depth.highest <= 257:
        raise DataError(f"{found} black; {FIX}")
    notice(f"{found} dark; if that is wrong, {FIX}")


def check_cost(file: "Image.Image", path: Path) -> None:
    """Refuse a picture whose header says that it takes more memory than `MOST_BYTES` or than is free."""
    if file.mode[0] in "IF":
        each = 32  # int64 during scaling
    elif file.mode in WITH_ALPHA or "transparency" in file.info:
        each = 20  # RGBA, the white background, and both combined
    else:
        each = 3 if file.mode in ("1", "L") else 8  # the decoded picture, and a copy if it must be rotated
    taken = each * file.height * file.width + 16 * max(file.height, file.width)  # the weights for stretching
    if taken > MOST_BYTES:
        raise Unreadable(
            path,
            f"its {file.height}x{file.width} pixels would take {in_words(taken)}",
            f"at most {in_words(MOST_BYTES)} are allowed for one picture: make it smaller first",
        )
    require(taken, f"the picture {shown(path)} of {file.height}x{file.width} pixels", "make it smaller first")


def any_size(path: Path, height: int, width: int) -> None:
    """Admit a picture of any size."""


def read_picture(path: Path, admit: Admit = any_size) -> DecodedPicture:
    """Return the picture, upright, in mode L or RGB of 8 bits, with transparent parts white.

    If its metadata are damaged, it is read without them. Raises `Unreadable`, and the errors of `admit`.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable(path, "it is a folder, a pipe or a device, not a file")
        return decoded(path, path, admit)
    except MinikdError:
        raise
    except PermissionError as error:
        raise Unreadable(path, "permission denied", "allow reading it, or leave it out") from error
    except Exception as error:  # damaged bytes make Pillow's plugins raise many kinds of errors
        try:
            if path.stat().st_size > MOST_REPAIRED:
                raise
            bare = decoded(path, io.BytesIO(without_metadata(path.read_bytes())), admit)
        except Exception:
            raise Unreadable(path, reason_of(error)) from error
        return bare._replace(whole=False)


def decoded(path: Path, source: Path | io.BytesIO, admit: Admit) -> DecodedPicture:
    """Return the picture in a file, or in its bytes without metadata; then metadata are not checked."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with Image.open(source) as file:
            white = white_of(file, path)
            check_cost(file, path)
            admit(path, file.height, file.width)
            turn = file.getexif().get(ORIENTATION)
            if isinstance(source, Path):
                ImageOps.exif_transpose(file, in_place=True)
            else:
                vars(file)["load_end"] = lambda: None  # it reads the data after the pixels
                file.load()
            told = any(one.category is UserWarning for one in said)
            whole = turn in range(9) if turn is not None else is_whole(file) and not told
            picture, depth = eight_bit(file, white, path) if white else (file, None)
            return DecodedPicture(opaque(picture), depth, whole)


def is_whole(file: "Image.Image") -> bool:
    """Return whether a picture's metadata, if any, can be read. Pillow ignores much damage."""
    from PIL import Image

    try:
        Image.Exif().load(file.info.get("exif", b""))
    except Exception:
        return False
    return True


def reason_of(error: Exception) -> str:
    """Return why a picture could not be read, in a few words."""
    from PIL import UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "its content is of no known format, or damaged at its start"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def opaque(picture: "Image.Image") -> "Image.Image":
    """Return the picture in mode L or RGB, with white where it is transparent."""
    from PIL import Image

    if picture.mode in WITH_ALPHA or "transparency" in picture.info:
        see_through = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, see_through).convert("RGB")
    if picture.mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def stretched(picture: "Image.Image", size: tuple[int, int] | None) -> "Image.Image":
    """Return the picture at `size` (height, width); unchanged if it has this size or `size` is None."""
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
