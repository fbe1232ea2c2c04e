"""Turns stored pixels into a network's inputs: the order of an epoch, the view of each sample, the normalisation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minikd.backends import kernels_of
from minikd.data.augment import Augmentation, augment
from minikd.errors import ConfigError, DataError
from minikd.typing import Floats, Ints, Pixels

NO_LABEL = -1
"""The label of an image that has no label."""

CHUNK = 256  # images converted to floats at a time: the whole set in float64 would take eight times its memory
CHUNK_NUMBERS = 1 << 22  # pixels of uint8 converted to floats at a time, if images are large
CONSTANT = 1e-6  # rounding alone can cause such a deviation


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's samples: `index` into their data set, `images` (N, C, H, W) normalised, `labels` (N,).

    An image without a label has the label `NO_LABEL`.
    """

    index: Ints
    images: Floats
    labels: Ints


@dataclass(frozen=True, eq=False)
class Views:
    """The views of a labelled set: each sample augmented (or not) and normalised, as a pure function of its number.

    `mean` and `std` hold one number per channel, for pixels scaled to 0-1 (`mean_and_std`). The view of sample i in
    epoch e depends only on (seed, e, i), not on the batch. So teacher and students see the same pixels, and so does a
    resumed run. Any number of threads may call `batch` at the same time.
    """

    images: Pixels
    labels: Ints
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation | None = None
    seed: int = 0
    dtype: type[np.floating] = np.float32

    def __post_init__(self) -> None:
        channels = self.images.shape[1]
        if len(self.mean) != channels or len(self.std) != channels:
            raise ConfigError(
                f"views of {channels}-channel images (shape {self.images.shape}) need {channels} means and deviations, "
                f"but mean is {self.mean} and std {self.std}; take both from mean_and_std(images)"
            )
        if len(self.images) != len(self.labels):
            raise DataError(f"views of {len(self.images)} images but {len(self.labels)} labels; give one label each")

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, epoch: int, index: Ints) -> Batch:
        """Return the samples at `index` as the network sees them in this epoch: augmented and normalised."""
        images = self.images[index]
        if self.augmentation is not None:
            images = augment(images, self.augmentation, self.seed, epoch, index)
        return Batch(index, self._normalised(images), self.labels[index])

    def clean(self, index: Ints | slice = slice(None)) -> Floats:
        """Return the images at `index` (default: all), normalised but not augmented, as evaluation needs them."""
        return self._normalised(self.images[index])

    @property
    def scale_and_shift(self) -> tuple[Floats, Floats]:
        """Return each channel's factor and the number that is subtracted afterwards: (C,) each, in `dtype`."""
        return self._scale.ravel(), self._shift.ravel()

    def _normalised(self, images: Pixels) -> Floats:
        """Return (images / top - mean) / std as one multiply and one add, (N, C, H, W) in `dtype`."""
        y: Floats
        if kernels := kernels_of(self._scale):
            y = kernels.normalized(images, self._scale, self._shift)
            return y
        y = images.astype(self.dtype)
        y *= self._scale
        y -= self._shift
        return y

    @cached_property
    def _scale(self) -> Floats:
        """1 / (top · std) of each channel, (C, 1, 1); top is the pixel value of white."""
        top = 255.0 if self.images.dtype == np.uint8 else 1.0
        scale: Floats = (1 / (top * np.array(self.std))).astype(self.dtype).reshape(-1, 1, 1)
        return scale

    @cached_property
    def _shift(self) -> Floats:
        """mean / std of each channel, (C, 1, 1)."""
        shift: Floats = (np.array(self.mean) / np.array(self.std)).astype(self.dtype).reshape(-1, 1, 1)
        return shift


def epoch_order(count: int, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """Return the epoch's batches: the numbers 0 to count-1 shuffled by (seed, epoch), `batch_size` at a time.

    The last batch is smaller if `batch_size` does not divide `count`. There is no state, so a run can continue at any
    batch of any epoch. Raises `ConfigError` for a batch size below 1.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}, but must be at least 1")
    order = np.random.default_rng((seed, epoch)).permutation(count)
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


def mean_and_std(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel over all of `images`, for pixels scaled to 0-1.

    Raises `DataError` if a channel is constant, because it cannot be scaled to unit deviation.
    """
    if images.size == 0:
        raise DataError(f"images has shape {images.shape}: there are no images to take the mean of")
    total = squares = np.zeros(images.shape[1])
    step = CHUNK
    if images.dtype == np.uint8:  # their sums are whole numbers, so they are exact in any order
        step = max(1, min(CHUNK, CHUNK_NUMBERS // max(1, images[0].size)))
    for start in range(0, len(images), step):
        chunk = images[start : start + step].astype(np.float64)
        total = total + chunk.sum(axis=(0, 2, 3))
        squares = squares + np.square(chunk).sum(axis=(0, 2, 3))
    count = images.size // images.shape[1]
    top = 255.0 if images.dtype == np.uint8 else 1.0
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0)) / top
    mean = mean / top
    for channel, deviation in enumerate(std):
        if deviation < CONSTANT:
            raise DataError(
                f"every pixel of channel {channel} is {mean[channel]:.6g} (of 0-1) in all {len(images)} images; "
                "there is nothing to learn from it: check how the images were read, or leave the channel out"
            )
    return tuple(map(float, mean)), tuple(map(float, std))
