"""A batch of augmented images: gathered, moved and normalised in one launch; with elastic distortion, in two launches.

The host draws each sample's motion for an epoch (`data.augment.motion`): four numbers for each sample. An elastic
distortion needs two random numbers for each pixel. They are a function of a counter (`data.draws`), so each thread
computes the numbers that it needs, and they equal the host's. Positions are computed in float32, in the host's order.

    half[n, f, r, x] = Σ_w columns[x, w] noise[n, f, r, w],   displacement[n, f, y, x] = Σ_r rows[y, r] half[n, f, r, x]

with f = 0 for the displacement down, 1 for the one to the right.
"""

from typing import NamedTuple

import cupy
import numpy as np

from minikd.backends.cuda.feed import ROUNDED, Stored, empty_batch
from minikd.typing import Array, Floats, Ints


class Variation(NamedTuple):
    """How the samples of an epoch are augmented, on the device.

    motion (N, 4): down, right, cosine and sine divided by the scale. key (1,), uint64: the key of the epoch's random
    numbers. rows (H, H) and columns (W, W): the smoothing along each axis. strength: the factor of each random number;
    0 for no distortion.
    """

    motion: Floats
    key: Array
    rows: Floats
    columns: Floats
    strength: float


# SplitMix64, as in `data.draws`: two numbers from the halves of each word.
_UNIFORM = """
__device__ float uniform(unsigned long long key, long long sample, long long count, long long at) {
    unsigned long long z = key + (sample * ((count + 1) / 2) + at / 2 + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return (unsigned)(at % 2 ? z >> 40 : z << 32 >> 40) * 5.9604644775390625e-8f;   // 24 bits, times 2^-24
}
"""

_smooth_along_rows = cupy.ElementwiseKernel(
    "raw int64 order, raw int64 counter, raw uint64 key, raw float32 columns, float32 strength, int64 H, int64 W",
    "float32 half",
    """
    long long x = i % W, line = i / W % (2 * H), row = order[counter[0] + i / (2 * H * W)];
    float sum = 0;
    for (long long w = 0; w < W; ++w)
        sum += columns[x * W + w] * ((2 * uniform(key[0], row, 2 * H * W, line * W + w) - 1) * strength);
    half = sum;
    """,
    "minikd_smooth_along_rows",
    preamble=_UNIFORM,
)

# A pixel's value is the weighted mean of the four pixels around its source position. Outside the image, pixels are 0:
# `data.warp.sample` puts a frame of zeros around each image, and here `at` returns 0.
_SAMPLE = """
template <typename P> __device__ float at(const P& pixels, long long image, int y, int x, int H, int W) {
    return y >= 0 && y < H && x >= 0 && x < W ? float(pixels[image + y * W + x]) : 0.0f;
}
"""

_varied_batch = cupy.ElementwiseKernel(
    "raw P pixels, raw int64 labels, raw int64 order, raw int64 counter, raw T scale, raw T shift, "
    "raw float32 motion, raw float32 rows, raw float32 half, bool elastic, int64 C, int64 H, int64 W",
    "T image, raw int64 index, raw int64 label",
    """
    long long column = i % W, line = i / W % H, c = i / (W * H) % C, sample = i / (W * H * C);
    long long row = order[counter[0] + sample];
    float middle_y = (H - 1) / 2.0f, middle_x = (W - 1) / 2.0f, cos = motion[4 * row + 2], sin = motion[4 * row + 3];
    float down = line - middle_y - motion[4 * row], right = column - middle_x - motion[4 * row + 1];
    float y = times(down, cos) + middle_y + times(right, sin), x = middle_x - times(down, sin) + times(right, cos);
    if (elastic) {
        float dy = 0, dx = 0;
        for (long long r = 0; r < H; ++r) {
            dy += rows[line * H + r] * half[((2 * sample) * H + r) * W + column];
            dx += rows[line * H + r] * half[((2 * sample + 1) * H + r) * W + column];
        }
        y += dy, x += dx;
    }
    y = min(max(y + 1, 0.0f), H + 1.0f), x = min(max(x + 1, 0.0f), W + 1.0f);   // in the frame of zeros
    float top = floor(y), left = floor(x);
    down = y - top, right = x - left;
    int v = int(top) - 1, u = int(left) - 1;
    long long first = (row * C + c) * H * W;
    float above = at(pixels, first, v, u, H, W), below = at(pixels, first, v + 1, u, H, W);
    above += times(at(pixels, first, v, u + 1, H, W) - above, right);
    below += times(at(pixels, first, v + 1, u + 1, H, W) - below, right);
    image = times(T(above + times(below - above, down)), scale[c]) - shift[c];
    if (i % (C * H * W) == 0) {
        index[sample] = row;
        label[sample] = labels[row];
    }
    """,
    "minikd_varied_batch",
    preamble=ROUNDED + _SAMPLE,
)


def varied_batch(stored: Stored, variation: Variation, count: int) -> tuple[Ints, Floats, Ints]:
    """Return the next `count` samples: numbers, augmented and normalised images (count, C, H, W), labels."""
    _, C, H, W = stored.pixels.shape
    index, images, label = empty_batch(stored, count)
    motion, key, rows, columns, strength = variation
    half = cupy.empty((count, 2, H, W) if strength else 0, np.float32)
    if strength:
        _smooth_along_rows(stored.order, stored.counter, key, columns, strength, H, W, half)
    _varied_batch(*stored, motion, rows, half, bool(strength), C, H, W, images, index, label)
    return index, images, label
