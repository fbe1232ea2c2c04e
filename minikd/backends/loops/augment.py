"""Augmented images in one pass over the output pixels. NumPy makes a dozen arrays of positions and neighbours.

Measured by

    python -m timeit -s 'import numpy as np; from minikd.data import Augmentation, augment; a = Augmentation(shift=2)' \
        -s 'x = np.zeros((128, 1, 28, 28), "u1"); i = np.arange(128)' 'augment(x, a, 0, 0, i)'

with MINIKD_LOOPS=numpy before it, and without.
"""

import numpy as np

from minikd.backends.loops.compiling import kernel, wide
from minikd.typing import Floats, Ints, Pixels


def warped(images: Pixels, motion: Floats, displaced: tuple[Floats, Floats] | None) -> Floats:
    """Return the images (N, C, H, W) after their motion (N, 4), and displacements (N, H, W) down and right, if any."""
    out = np.empty(images.shape, np.float32)
    dy, dx = displaced or (motion[:0, :, None], motion[:0, :, None])
    _warped(images, motion, dy, dx, out)
    return out


@kernel
def _warped(images: Pixels, motion: Floats, dy: Floats, dx: Floats, out: Floats) -> None:
    wide()
    N, C, H, W = images.shape
    row, one, zero = W + 3, np.float32(1), np.float32(0)
    framed = np.zeros((C, (H + 3) * row), np.float32)  # zeros around the image: all read positions exist
    at, below, beside = np.empty(W, np.int32), np.empty(W, np.float32), np.empty(W, np.float32)
    for n in range(N):
        for c in range(C):
            for p in range(H):
                for q in range(W):
                    framed[c, (p + 1) * row + q + 1] = images[n, c, p, q]
        down, right, cos, sin = motion[n]
        middle_y, middle_x = np.float32((H - 1) / 2), np.float32((W - 1) / 2)
        for p in range(H):
            for q in range(W):  # the source of each pixel: `data.warp.source_points`
                v, u = np.float32(p) - middle_y - down, np.float32(q) - middle_x - right
                y, x = v * cos + middle_y + u * sin, middle_x - v * sin + u * cos
                if len(dy):
                    y, x = y + dy[n, p, q], x + dx[n, p, q]
                y, x = min(max(y + one, zero), np.float32(H + 1)), min(max(x + one, zero), np.float32(W + 1))
                top, left = np.int32(y), np.int32(x)
                at[q], below[q], beside[q] = top * np.int32(row) + left, y - np.float32(top), x - np.float32(left)
            for c in range(C):
                for q in range(W):  # the mean of the four pixels around: `data.warp.sample`
                    i, right_share = at[q], beside[q]
                    upper = framed[c, i] + (framed[c, i + 1] - framed[c, i]) * right_share
                    lower = framed[c, i + row] + (framed[c, i + row + 1] - framed[c, i + row]) * right_share
                    out[n, c, p, q] = upper + (lower - upper) * below[q]


def uniform(key: np.uint64, index: Ints, out: Floats) -> None:
    """Fill out (N, count) with the numbers in [0, 1) of each sample number in `index`; see `data.draws`."""
    _uniform(key, index, out)


@kernel
def _uniform(key: np.uint64, index: Ints, out: Floats) -> None:
    count = out.shape[1]
    pairs = (count + 1) // 2
    for n in range(len(out)):
        first = np.uint64(index[n]) * np.uint64(pairs)
        for pair in range(pairs):
            z = key + (first + np.uint64(pair + 1)) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            out[n, 2 * pair] = np.float32((z & np.uint64(0xFFFFFFFF)) >> np.uint64(8)) * np.float32(2.0**-24)
            if 2 * pair + 1 < count:
                out[n, 2 * pair + 1] = np.float32(z >> np.uint64(40)) * np.float32(2.0**-24)
