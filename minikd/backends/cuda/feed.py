"""Kernels that feed a step that is a graph: the batch, the step's random numbers, and the counters.

`counter` holds two numbers on the device: how many samples and how many batches of the epoch have been seen. A graph
does the same work at each launch. So its kernels use these two numbers to find the data of the present step.
"""

from typing import NamedTuple

import cupy

from minikd.typing import Array, Floats, Ints, Pixels, Scalar

# Each product is rounded before the sum, as on the host. Without this, a device's compiler would fuse the two.
ROUNDED = """
__device__ float times(float a, float b) { return __fmul_rn(a, b); }
__device__ double times(double a, double b) { return __dmul_rn(a, b); }
"""


class Stored(NamedTuple):
    """A set on the device: pixels (N, C, H, W), labels (N,), the epoch's order (N,), and the counters.

    A normalised pixel is pixel · scale - shift, with scale and shift of its channel (C,).
    """

    pixels: Pixels
    labels: Ints
    order: Ints
    counter: Ints
    scale: Floats
    shift: Floats


_batch = cupy.ElementwiseKernel(
    "raw P pixels, raw int64 labels, raw int64 order, raw int64 counter, raw T scale, raw T shift, int64 C, int64 area",
    "T image, raw int64 index, raw int64 label",
    """
    long long sample = i / (C * area), rest = i % (C * area), row = order[counter[0] + sample];
    image = times(T(pixels[row * C * area + rest]), scale[rest / area]) - shift[rest / area];
    if (rest == 0) {
        index[sample] = row;
        label[sample] = labels[row];
    }
    """,
    "minikd_batch",
    preamble=ROUNDED,
)


def batch(stored: Stored, count: int) -> tuple[Ints, Floats, Ints]:
    """Return the next `count` samples: numbers, normalised images (count, C, H, W), labels."""
    _, C, H, W = stored.pixels.shape
    index, images, label = empty_batch(stored, count)
    _batch(*stored, C, H * W, images, index, label)
    return index, images, label


def empty_batch(stored: Stored, count: int) -> tuple[Ints, Floats, Ints]:
    """Return empty arrays for the numbers, images and labels of `count` samples."""
    images: Floats = cupy.empty((count, *stored.pixels.shape[1:]), stored.scale.dtype)
    index: Ints = cupy.empty(count, cupy.int64)
    label: Ints = cupy.empty(count, cupy.int64)
    return index, images, label


_draw = cupy.ElementwiseKernel(
    "raw T tape, raw int64 counter, int64 first, int64 size",
    "T drawn",
    "drawn = tape[(counter[1] - first) * size + i]",
    "minikd_draw",
)


def draw(tape: Array, counter: Ints, first: int) -> Array:
    """Return the next batch's row of a tape (S, ...), whose first row is that of batch `first`."""
    drawn: Array = cupy.empty(tape.shape[1:], tape.dtype)
    _draw(tape, counter, first, drawn.size, drawn)
    return drawn


_count = cupy.ElementwiseKernel(
    "raw T loss, int64 images",
    "raw float64 loss_sum, raw int64 counter",
    """
    T part = loss[0] * T(images);
    loss_sum[0] += double(part);
    counter[0] += images;
    counter[1] += 1;
    """,
    "minikd_count",
)


def count(loss: Scalar, images: int, loss_sum: Floats, counter: Ints) -> None:
    """Count a step over so many images: add its mean loss, times the images, to the sum, and move the counters."""
    _count(loss, images, loss_sum, counter, size=1)
