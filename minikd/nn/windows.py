"""An image's windows as the rows of a matrix; and the adjoint, which adds each row to the pixels that it was read from.

Images are channels-last here, (N, H, W, C). So a window is R runs of S·C neighbouring floats, which are copied several
times faster than C·R runs of S. All windows together would take R·S times the memory of the image. So a few images are
copied at a time, into a piece that stays in the processor's cache until the matrix product has read it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minikd.backends import kernels_of, module_of
from minikd.nn.geometry import taps
from minikd.typing import Floats, HeightWidth

PIECE_BYTES = {"numpy": 2**20, "cupy": 2**28}
"""The bytes of the matrix that exist at a time.

On the host, this is half of a core's second-level cache of 2 MiB. The teacher's step takes as long with 512 KiB to 2
MiB, and a tenth to a quarter longer with 4 and 8 MiB. On a device, every launch takes time, so pieces are as large as a
small device allows.
"""


class Steps(NamedTuple):
    """How the window moves."""

    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth


def pad(x: Floats, padding: HeightWidth) -> Floats:
    """Return x (N, C, H, W) with a border of zeros, channels-last (N, H + 2·ph, W + 2·pw, C)."""
    (N, C, H, W), (ph, pw) = x.shape, padding
    padded: Floats = module_of(x).zeros((N, H + 2 * ph, W + 2 * pw, C), x.dtype)
    padded[:, ph : ph + H, pw : pw + W] = x.transpose(0, 2, 3, 1)
    return padded


def pieces(padded: Floats, kernel: HeightWidth, steps: Steps, outputs: HeightWidth) -> Iterator[tuple[slice, Floats]]:
    """Yield the matrix (N·P·Q, R·S·C) of the windows of padded (N, H, W, C), piece by piece: a slice, and its rows."""
    (N, _, _, C), (R, S), (P, Q) = padded.shape, kernel, outputs
    xp = module_of(padded)
    (n, h, w, c), (sy, sx), (dy, dx) = padded.strides, steps.stride, steps.dilation
    windows = xp.lib.stride_tricks.as_strided(padded, (N, P, Q, R, S, C), (n, sy * h, sx * w, dy * h, dx * w, c))
    for images in runs(padded, kernel, outputs):
        if C == 1 and xp is np:
            # In a grey image, a pixel is one float. With one plane for each kernel position, runs of Q floats are
            # copied, which is faster.
            cols = np.ascontiguousarray(windows[images].transpose(3, 4, 5, 0, 1, 2)).reshape(R * S, -1).T
        else:
            cols = windows[images].reshape(-1, R * S * C)
        yield slice(images.start * P * Q, images.stop * P * Q), cols


def runs(padded: Floats, kernel: HeightWidth, outputs: HeightWidth) -> Iterator[slice]:
    """Yield slices of images whose windows fit into PIECE_BYTES, with at least one image each."""
    N, _, _, C = padded.shape
    bytes_an_image = outputs[0] * outputs[1] * kernel[0] * kernel[1] * C * padded.itemsize
    step = max(1, PIECE_BYTES[module_of(padded).__name__] // bytes_an_image)
    for start in range(0, N, step):
        yield slice(start, min(N, start + step))


def add_windows(target: Floats, dcols: Floats, kernel: HeightWidth, steps: Steps, outputs: HeightWidth) -> None:
    """Add each row of dcols (N·P·Q, R·S·C) to the pixels of target (N, H, W, C) that its window read; it was 0."""
    if kernels := kernels_of(target):
        kernels.gather_windows(dcols, target, outputs, kernel, steps.stride, steps.dilation)
        return
    places = taps(kernel, steps.stride, steps.dilation, outputs)
    dcols = dcols.reshape(-1, *outputs, len(places), target.shape[3])
    for k, (rows, cols) in enumerate(places):
        target[:, rows, cols] += dcols[:, :, :, k]
