"""What lesson 20's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work
from minikd.nn.conv import conv2d


def check(work: Work) -> None:
    """Check the rescaling by pixels that went through it, and the weights by features that did."""
    rng = np.random.default_rng(20)
    pixels = rng.uniform(0, 1, (2, 3, 4, 5)).astype(np.float32)
    mean, std, other_mean, other_std = rng.uniform(0.2, 0.8, (4, 3))
    scaled, want = at(pixels, mean, std), at(pixels, other_mean, other_std)
    ratio, shift = std / other_std, (mean - other_mean) / other_std

    def through(found: object) -> object:
        return conv2d(scaled, *found)[0] if isinstance(found, tuple) else found

    def wrong(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return scaled * weight[:, None, None] + bias[:, None, None]

    work.same(
        "rescaling",
        (mean, std, other_mean, other_std),
        want,
        claim="rescaling: the convolution normalises pixels as wanted",
        within=1e-5,
        part=through,
        suspects={
            "the weight is upside down: the pixels are already divided by std": wrong(1 / ratio, shift),
            "divide the difference of the means by the wanted deviation": wrong(ratio, mean - other_mean),
            "the difference of the means was divided by the wrong deviation": wrong(ratio, (mean - other_mean) / std),
            "the sign of the bias is reversed": wrong(ratio, -shift),
            "the bias is missing": wrong(ratio, 0 * shift),
            "this is for pixels that are not normalised yet": wrong(1 / other_std, -other_mean / other_std),
        },
    )
    dense(work, rng)


def at(pixels: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return pixels scaled by a mean and a deviation, as float32."""
    return ((pixels - mean[:, None, None]) / std[:, None, None]).astype(np.float32)


def dense(work: Work, rng: np.random.Generator) -> None:
    """Check the dense layer's weight."""
    C, H, W = shape = (2, 3, 4)
    last = rng.standard_normal((H * W * C, 5))
    grid = last.reshape(H, W, C, 5)
    want = grid.transpose(3, 2, 0, 1).reshape(5, -1)
    work.same(
        "dense_of_channels_last",
        (last, shape),
        want,
        suspects={
            "only transposed: the inputs are still in the order (H, W, C)": last.T,
            "reshaped, not transposed: a reshape does not reorder the numbers": last.reshape(5, -1),
            "height and width are exchanged": grid.transpose(3, 2, 1, 0).reshape(5, -1),
            "the rows have the order (H, W, C), not (C, H, W)": (
                last.reshape(C, H, W, 5).transpose(3, 1, 2, 0).reshape(5, -1)
            ),
        },
    )
