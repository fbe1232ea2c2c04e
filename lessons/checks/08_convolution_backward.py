"""What lesson 8's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work
from minikd.nn.conv import conv2d, conv2d_backward


def check(work: Work) -> None:
    """Check against the engine's convolution of images one row high, then by differences, with O = C and O ≠ C."""
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal((2, 3, 10)), rng.standard_normal((3, 3, 3))
    for stride in (1, 2):
        P = (10 - 3) // stride + 1
        dy = rng.standard_normal((2, 3, P))
        against_engine(work, x, w, dy, stride)
    inputs = {"x": rng.standard_normal((2, 2, 9)), "w": rng.standard_normal((4, 2, 4))}
    usual = "first correct the rows above; this case has other sizes: O ≠ C, R = 4, stride 3, and N = 2"
    work.gradients("conv1d", "conv1d_backward", inputs, usual=usual, stride=3)


def against_engine(work: Work, x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int) -> None:
    """Check both gradients for one stride."""
    dx, dw = engine(x, w, dy, stride)
    neighbours, near = engine(x[:, :, : dy.shape[2] + 2], w, dy, 1)
    forgotten = np.pad(neighbours, ((0, 0), (0, 0), (0, x.shape[2] - neighbours.shape[2])))
    work.same(
        "conv1d_dw",
        (dy, x, stride, 3),
        dw,
        claim=f"conv1d_dw at stride {stride}",
        suspects={
            "the stride is forgotten: the window of output p begins at p·stride": near,
            "O and C are swapped": dw.transpose(1, 0, 2),
            "the weights are in reverse order along R": dw[:, :, ::-1],
            "this is the mean over the samples; the chain rule sums": dw / len(x),
        },
    )
    assigned = np.zeros_like(dx)
    for r in range(3):
        assigned[:, :, r : r + stride * (dy.shape[2] - 1) + 1 : stride] = np.einsum("nop,oc->ncp", dy, w[:, :, r])
    by_window = np.zeros_like(dx)
    for p in range(dy.shape[2]):
        by_window[:, :, p * stride : p * stride + 3] = np.einsum("no,ocr->ncr", dy[:, :, p], w)
    text = "an element is in several windows, and a later one overwrites the result: begin with zeros and add with +="
    work.same(
        "conv1d_dx",
        (dy, w, stride, x.shape[2]),
        dx,
        claim=f"conv1d_dx at stride {stride}",
        suspects={
            "the kernel is in reverse order: window i - r read element i at position r": engine(
                x, w[:, :, ::-1], dy, stride
            )[0],
            "the sum runs over C: sum over O, so swap the first two axes of w": engine(
                x, w.transpose(1, 0, 2), dy, stride
            )[0],
            "the kernel is in reverse order, and the first two axes of w are not swapped": engine(
                x, w[:, :, ::-1].transpose(1, 0, 2), dy, stride
            )[0],
            "the stride is forgotten: window p begins at p·stride": forgotten,
            text: assigned,
            f"{text} (your loop runs over the windows)": by_window,
        },
    )


def engine(x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dw, by the engine's convolution of images one row high."""
    _, cache = conv2d(x[:, :, None], w[:, :, None], np.zeros(len(w)), (1, stride))
    dx, dw, _ = conv2d_backward(dy[:, :, None], cache)
    return dx[:, :, 0], dw[:, :, 0]
