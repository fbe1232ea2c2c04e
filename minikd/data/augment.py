"""Random variations of training images: shift, rotation, scale and elastic distortion, on the host.

The view of a sample in an epoch depends only on (seed, epoch, sample number). It does not depend on the batch, the
order, the batch size or the thread.
"""

from dataclasses import dataclass, fields
from math import sqrt

import numpy as np

from minikd.data.draws import keys, uniform
from minikd.data.warp import motions, warped
from minikd.errors import ConfigError, ShapeError
from minikd.settings import brief, converted
from minikd.typing import Floats, Ints, Pixels

MOST = 1e4
"""The largest variation, in pixels or degrees."""

CHUNK = 1 << 14  # output pixels warped at a time, so that the dozen intermediate arrays stay in the cache


@dataclass(frozen=True)
class Augmentation:
    """How far each sample may be varied; 0 switches a variation off.

    shift: pixels; the content moves by up to this much down or up, and right or left (each uniform).
    rotation: degrees, either way (uniform).
    scale: a fraction; 0.1 scales by 0.9 to 1.1 (uniform), both axes alike.
    elastic: pixels; the root mean square of each pixel's displacement, vertical and horizontal.
    elastic_smoothing: pixels; the standard deviation of the Gaussian that smooths the displacements. With a small value
    strokes tremble, with a large value they bend. Simard, Steinkraus, Platt ("Best practices for convolutional neural
    networks", 2003) used 4 pixels and a strength alpha of 34, which is elastic=1.4 here.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    elastic: float = 0.0
    elastic_smoothing: float = 4.0

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            value = converted(field, given)
            if not isinstance(value, float) or not 0 <= value <= MOST:
                raise ConfigError(
                    f"augmentation {field.name} is {brief(given)}, but must be a number from 0 to {MOST:,.0f}"
                )
            object.__setattr__(self, field.name, value)
        if self.scale >= 1:
            raise ConfigError(
                f"augmentation scale is {self.scale}, but must be below 1: 0.1 scales images by 0.9 to 1.1"
            )
        if self.elastic_smoothing == 0:
            raise ConfigError("augmentation elastic_smoothing is 0, but must be above 0 pixels; set elastic=0 for none")

    @property
    def active(self) -> bool:
        """True if any variation is switched on."""
        return any((self.shift, self.rotation, self.scale, self.elastic))


def augment(images: Pixels, augmentation: Augmentation, seed: int, epoch: int, index: Ints) -> Floats:
    """Return the views of `images` (N, C, H, W) in this epoch, as float32 on the same scale; `images` is not changed.

    `index` (N,) holds each image's number in its data set. The content is distorted, then scaled and turned about the
    centre, then moved. Pixels from outside the image are 0. Without any variation this only converts to float32.
    """
    if len(images) != len(index):
        raise ShapeError(f"augment: {len(images)} images but {len(index)} sample numbers; give one number per image")
    if not augmentation.active:
        return images.astype(np.float32)
    for_motion, for_elastic = keys(seed, epoch, 2)
    height, width = images.shape[2:]
    smooth = [smoothing(side, augmentation.elastic_smoothing) for side in (height, width) if augmentation.elastic]
    moved, out = motion(augmentation, for_motion, index), np.empty(images.shape, np.float32)
    step = max(1, CHUNK // (height * width))
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        further = displacements(augmentation.elastic, for_elastic, index[part], *smooth) if smooth else None
        out[part] = warped(images[part], moved[part], further)
    return out


def motion(augmentation: Augmentation, key: np.uint64, index: Ints) -> Floats:
    """Return each sample's shift, rotation and scale in the form of `warp.motions`, (N, 4)."""
    signed = 2 * uniform(key, index, 4) - 1  # (N, 4) in [-1, 1)
    angle = signed[:, 2] * (augmentation.rotation * np.pi / 180)
    return motions(signed[:, :2] * augmentation.shift, angle, 1 + signed[:, 3] * augmentation.scale)


def displacements(strength: float, key: np.uint64, index: Ints, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Return smooth random displacements (dy, dx), each (N, H, W), with root mean square `strength` at every pixel.

    `rows` (H, H) and `columns` (W, W) smooth white noise along their axis (`smoothing`).
    """
    height, width = len(rows), len(columns)
    noise = 2 * uniform(key, index, 2 * height * width) - 1
    noise *= noise_strength(strength)
    smooth = rows @ noise.reshape(-1, 2, height, width) @ columns.T  # (N, 2, H, W) = (H, H) @ (N, 2, H, W) @ (W, W)
    return smooth[:, 0], smooth[:, 1]


def noise_strength(strength: float) -> float:
    """Return the factor for noise that is uniform in [-1, 1), whose variance is 1/3."""
    return sqrt(3) * strength


def smoothing(size: int, deviation: float) -> Floats:
    """Return the (size, size) float32 matrix that smooths a line of white noise by a Gaussian and keeps its variance.

    A Gaussian filter is linear, so filtering the identity gives its matrix. The matrix product is faster than the
    filter. Rows of norm 1 keep the variance 1, also at the border.
    """
    from scipy.ndimage import gaussian_filter1d

    matrix = gaussian_filter1d(np.eye(size), deviation, axis=0)
    scaled: Floats = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    return scaled
