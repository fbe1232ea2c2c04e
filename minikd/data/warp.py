"""Moves the content of images: computes where each output pixel reads its source, and samples there bilinearly.

Pixels are points at whole coordinates, y down and x right, and the centre of an image is ((H-1)/2, (W-1)/2). Each
output pixel reads from the source (backward warping), so there are no gaps. Outside its frame an image is 0.
"""

import numpy as np

from minikd.backends import kernels_of
from minikd.typing import Floats, Pixels

PAD = 1  # pixels of 0 before the image; one more follows it, for the right neighbour of the last padded pixel


def motions(shift: Floats, angle: Floats, scale: Floats) -> Floats:
    """Return one motion per image, (N, 4) float32: down, right, cos(angle) / scale, sin(angle) / scale.

    The content is scaled by `scale` (N,) and turned about the centre by `angle` (N,) radians, counter-clockwise. Then
    it is moved by `shift` (N, 2) pixels, (down, right).
    """
    return np.column_stack((shift, np.cos(angle) / scale, np.sin(angle) / scale)).astype(np.float32)


def source_points(motion: Floats, height: int, width: int) -> tuple[Floats, Floats]:
    """Return the (y, x) that each output pixel reads, both (N, H, W) float32, for one motion per image (`motions`).

    With o = output pixel - centre - shift, the motion is undone by y = (x_o sin + y_o cos) / scale and x = (x_o cos -
    y_o sin) / scale, relative to the centre.
    """
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    move_down, move_right, cos, sin = motion.T[:, :, None, None]
    down = np.arange(height, dtype=np.float32)[:, None] - middle_y - move_down  # (N, H, 1)
    right = np.arange(width, dtype=np.float32) - middle_x - move_right  # (N, 1, W)
    return (down * cos + middle_y) + right * sin, (middle_x - down * sin) + right * cos


def warped(images: Pixels, motion: Floats, displaced: tuple[Floats, Floats] | None = None) -> Floats:
    """Return the images (N, C, H, W) after their motion (N, 4) as float32.

    displaced: how much further down, and right, each output pixel reads, (N, H, W) each.
    """
    if kernels := kernels_of(motion):
        y: Floats = kernels.warped(images, motion, displaced)
        return y
    down, right = source_points(motion, *images.shape[2:])
    if displaced:
        down, right = down + displaced[0], right + displaced[1]
    return sample(images, down, right)


def sample(images: Pixels, y: Floats, x: Floats) -> Floats:
    """Return the images (N, C, H, W) at the points y, x (N, P, Q), by bilinear interpolation.

    The output is (N, C, P, Q) float32 on the scale of the images. Each image gets a frame of zeros, so that the same
    formula also holds at the border. Points further out are clipped onto the frame.
    """
    n, channels, height, width = images.shape
    row = width + 2 * PAD + 1
    framed = np.zeros((n, channels, height + 2 * PAD + 1, row), np.float32)
    framed[:, :, PAD : PAD + height, PAD : PAD + width] = images
    flat = framed.ravel()
    y = np.clip(y + PAD, 0, height + PAD)
    x = np.clip(x + PAD, 0, width + PAD)
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top)[:, None], (x - left)[:, None]  # (N, 1, P, Q): all channels move together
    image_start = np.arange(n * channels).reshape(n, channels, 1, 1) * (framed.shape[2] * row)
    at = image_start + (top * row + left).astype(np.intp)[:, None]
    above, below = flat.take(at), flat[row:].take(at)
    above += (flat[1:].take(at) - above) * right
    below += (flat[row + 1 :].take(at) - below) * right
    below -= above
    below *= down
    between: Floats = np.add(above, below, out=above)
    return between
