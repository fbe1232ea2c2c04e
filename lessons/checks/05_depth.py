"""What lesson 5's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.evidence.gradcheck import tie_free
from minikd.lessons import Work
from minikd.nn.activations import leaky_relu


def check(work: Work) -> None:
    """Check both bends, forwards against the engine and NumPy, backwards numerically; then the deviation."""
    x = tie_free((4, 6), np.random.default_rng(5))
    work.same(
        "leaky_relu",
        (x, 0.3),
        leaky_relu(x, 0.3)[0],
        part=lambda found: found[0],
        suspects={
            "this is the plain ReLU: multiply the negative side by slope": np.maximum(x, 0),
            "the sides are swapped: x stays where it is positive": np.where(x > 0, 0.3 * x, x),
            "slope was added, not multiplied": np.where(x > 0, x, 0.3),
        },
    )
    work.gradients(
        "leaky_relu",
        "leaky_relu_backward",
        {"x": x},
        usual="dx is dy where x > 0 and slope * dy elsewhere; use the sign of x, not of dy",
        slope=0.3,
    )
    work.same("tanh", (x,), np.tanh(x), part=lambda found: found[0])
    work.gradients(
        "tanh", "tanh_backward", {"x": x}, usual="dx = dy (1 - y²), with y the output: (1 - x²) is another function"
    )
    work.same(
        "he_std",
        (300, 0.3),
        np.sqrt(2 / (300 * 1.09)),
        suspects={
            "this is the variance; the standard deviation is its root": 2 / (300 * 1.09),
            "this is for the plain ReLU: the negative side adds slope² times its half": np.sqrt(2 / 300),
            "use slope², not slope: this is about the mean square": np.sqrt(2 / (300 * 1.3)),
            "the negative side adds signal, so the weights must be smaller: divide by 1 + slope²": np.sqrt(
                2 * 1.09 / 300
            ),
        },
    )
