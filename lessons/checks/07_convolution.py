"""What lesson 7's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work
from minikd.nn.conv import conv2d
from minikd.nn.geometry import outputs


def check(work: Work) -> None:
    """Check the size against the engine's, depthwise against the engine's convolution in C groups."""
    for size, kernel, stride, padding, dilation in ((11, 3, 1, 0, 1), (20, 3, 1, 2, 4), (16, 4, 3, 2, 3)):
        work.same(
            "output_size",
            (size, kernel, stride, padding, dilation),
            outputs(size, kernel, stride, padding, dilation),
            claim=f"output_size({size}, {kernel}, stride={stride}, padding={padding}, dilation={dilation})",
            suspects={
                "the kernel covers dilation·(kernel - 1) + 1 pixels: dilation·kernel counts one gap too many": (
                    size + 2 * padding - dilation * kernel
                )
                // stride
                + 1,
                "the dilation is missing": outputs(size, kernel, stride, padding),
                "the count starts at 0: there is one window more": outputs(size, kernel, stride, padding, dilation) - 1,
                "the padding is on both sides: add it twice": (size + padding - dilation * (kernel - 1) - 1) // stride
                + 1,
                "the quotient is rounded down, with //": (size + 2 * padding - dilation * (kernel - 1) - 1) / stride
                + 1,
            },
        )
    rng = np.random.default_rng(7)
    x, w, b = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((3, 3, 2)), rng.standard_normal(3)

    def engine(x: np.ndarray, w: np.ndarray, padding: int = 1) -> np.ndarray:
        return conv2d(x, w[:, None], b, padding=(padding, padding), groups=3)[0]

    want = engine(x, w)
    summed = want - b[:, None, None]
    work.same(
        "depthwise",
        (x, w, b, 1),
        want,
        suspects={
            "the kernel is rotated by 180°: that is the convolution of mathematics": engine(x, w[:, ::-1, ::-1]),
            "the bias is missing": summed,
            "the bias is added for each position of the kernel: add it once": want + b[:, None, None] * (w[0].size - 1),
            "the bias is added once, and again for each position of the kernel": want + b[:, None, None] * w[0].size,
            "the channels are summed: keep each channel separate": np.broadcast_to(
                summed.sum(1, keepdims=True) + b[:, None, None], want.shape
            ),
            "every channel uses the kernel of the first": engine(x, np.broadcast_to(w[:1], w.shape)),
            "all padding is above and left: put half of it below and right": engine(
                np.pad(x, ((0, 0), (0, 0), (2, 0), (2, 0))), w, 0
            ),
        },
    )
