"""What lesson 9's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.evidence.gradcheck import tie_free
from minikd.lessons import Work
from minikd.nn.normalization import normalize


def check(work: Work) -> None:
    """Check layer norm against the engine's and its numeric gradient, then the maximum with and without ties."""
    rng = np.random.default_rng(9)
    x, gamma, beta = 2 + rng.standard_normal((4, 6)), rng.standard_normal(6), rng.standard_normal(6)
    work.same(
        "layer_norm",
        (x, gamma, beta),
        normalize(x, gamma, beta, (1,), 1e-5)[0],
        part=lambda found: found[0],
        suspects={
            "the mean and variance are over the batch: use axis 1, the features": normed(x, 0, 0) * gamma + beta,
            "the variance divides by C - 1: it must be the mean of the squares": normed(x, 1, 1) * gamma + beta,
            "gamma and beta are missing": normed(x, 1, 0),
        },
    )
    work.gradients(
        "layer_norm",
        "layer_norm_backward",
        {"x": x, "gamma": gamma, "beta": beta},
        usual="dx needs means over the features of each sample (axis 1, keepdims=True), of g = gamma * dy, not of dy; "
        "dgamma and dbeta are sums over the samples (axis 0)",
    )
    work.gradients("tied_max", "tied_max_backward", {"x": tie_free((5, 4), rng)}, usual="only the winner gets dy")
    tied = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [5.0, 4.0, 4.0, 5.0], [0.0, 1.0, 0.0, 0.0]])
    dy, columns = np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4)
    winners = tied == tied.max(1, keepdims=True)
    work.same(
        "tied_max",
        (tied,),
        (columns == np.array([2, 3, 3, 1])[:, None]) * dy[:, None],
        part=lambda found: work.names["tied_max_backward"](dy, found[1]),
        claim="the last of several equal maxima gets dy",
        suspects={
            "the first maximum gets dy: argmax finds the first": (columns == tied.argmax(1)[:, None]) * dy[:, None],
            "every maximum gets the whole dy": winners * dy[:, None],
            "the maxima share dy": winners * dy[:, None] / winners.sum(1, keepdims=True),
        },
    )


def normed(x: np.ndarray, axis: int, less: int) -> np.ndarray:
    """Return x with mean 0 and variance 1 over an axis."""
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True, ddof=less) + 1e-5)
