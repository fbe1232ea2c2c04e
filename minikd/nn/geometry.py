"""The arithmetic of windows that slide over an image, shared by convolution and pooling."""

from collections.abc import Sequence
from operator import index
from typing import SupportsIndex

from minikd.backends import module_of
from minikd.checks import check_float
from minikd.errors import ConfigError, ShapeError
from minikd.typing import Floats, HeightWidth, Shape


def pair(value: SupportsIndex | Sequence[SupportsIndex], name: str, least: int) -> HeightWidth:
    """Return (value, value) for a whole number, also one of NumPy's, or else a checked (height, width)."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    try:
        height, width = (index(v) for v in both)
        if min(height, width) >= least:
            return height, width
    except (TypeError, ValueError):  # not a whole number, or not two
        pass
    raise ConfigError(f"{name} is {value!r}, but must be a whole number >= {least}, or two of them (height, width)")


def outputs(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Return how many windows fit: ⌊(size + 2·padding - dilation·(kernel - 1) - 1)/stride⌋ + 1."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def output_size(
    shape: Shape, kernel: HeightWidth, stride: HeightWidth, padding: HeightWidth, dilation: HeightWidth, where: str
) -> HeightWidth:
    """Return (P, Q) for an input (..., H, W), or say that the window does not fit into the image."""
    H, W = shape[-2:]
    P = outputs(H, kernel[0], stride[0], padding[0], dilation[0])
    Q = outputs(W, kernel[1], stride[1], padding[1], dilation[1])
    if P < 1 or Q < 1:
        raise ShapeError(
            f"{where}: a window of {kernel[0]}x{kernel[1]} (dilation {dilation[0]}x{dilation[1]}) does not fit into an "
            f"image of {H}x{W} with padding {padding[0]}x{padding[1]}; use larger images, a smaller window or padding"
        )
    return P, Q


def check_image(x: Floats, channels: int | None, where: str) -> None:
    """Refuse anything but a float array (N, C, H, W) with the right number of channels."""
    wanted = "C" if channels is None else str(channels)
    if x.ndim != 4 or (channels is not None and x.shape[1] != channels):
        raise ShapeError(f"{where}: x has shape {x.shape}, but must be (N, {wanted}, H, W)")
    if 0 in x.shape[1:]:
        raise ShapeError(f"{where}: x has shape {x.shape}, images without a single pixel; only N may be 0")
    check_float(x, f"{where}: x")


def channels_last(x: Floats) -> Floats:
    """Return x (N, C, H, W) with the channels of a pixel next to each other in memory: x itself if they already are."""
    rows: Floats = module_of(x).ascontiguousarray(x.transpose(0, 2, 3, 1))
    return rows.transpose(0, 3, 1, 2)


def taps(
    kernel: HeightWidth, stride: HeightWidth, dilation: HeightWidth, outputs: HeightWidth
) -> list[tuple[slice, slice]]:
    """Return, for each kernel position (r, s) in row order, the rows and columns that it reads in all windows.

    So a loop over the few positions of the kernel replaces a loop over the many positions of the image. No position of
    the image occurs twice for one kernel position, so `dx[tap] += ...` is correct on every backend.
    """
    (R, S), (sy, sx), (dy, dx), (P, Q) = kernel, stride, dilation, outputs
    return [
        (slice(r * dy, r * dy + sy * (P - 1) + 1, sy), slice(s * dx, s * dx + sx * (Q - 1) + 1, sx))
        for r in range(R)
        for s in range(S)
    ]
