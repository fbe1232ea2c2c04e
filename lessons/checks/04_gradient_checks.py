"""What lesson 4's exercises must return, and the usual mistakes."""

from collections.abc import Callable

import numpy as np

from minikd import losses
from minikd.evidence.gradcheck.numeric import jacobian
from minikd.lessons import Work


def check(work: Work) -> None:
    """Check the Jacobian on a linear map and on log-softmax, and share_backward against numeric derivatives."""
    rng = np.random.default_rng(4)
    x, w, h = rng.standard_normal((2, 4)), rng.standard_normal((3, 4)), 1e-5

    def product(a: np.ndarray) -> np.ndarray:
        return a @ w.T  # (N, O) = (N, C) @ (C, O)

    exact = np.kron(np.eye(2), w)
    table(work, "jacobian of x @ w.T: w in two blocks", product, x, h, exact)
    table(work, "jacobian of log-softmax", losses.log_softmax, x, h, engines(losses.log_softmax, x, h))
    positive = rng.uniform(0.5, 2.0, (3, 5))
    work.gradients(
        "share",
        "share_backward",
        {"x": positive},
        usual="each x_j is also in the sum that divides its whole row, so dx has two terms",
    )


def table(
    work: Work, claim: str, f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, h: float, want: np.ndarray
) -> None:
    """Check one Jacobian."""
    one_sided = np.stack([(f(x + step) - f(x)).ravel() / h for step in each(x, h)], axis=1)
    summed = want.sum(axis=0).reshape(x.shape)
    work.same(
        "jacobian",
        (f, x, h),
        want,
        claim=claim,
        within=1e-8,
        suspects={
            "a row is an element of y and a column one of x: yours are swapped": want.T,
            "this is one-sided, f(x + h) - f(x) over h: its error is h, not h²": one_sided,
            "the difference spans two steps: divide by 2h, not by h": 2 * want,
            "the difference was not divided by 2h": 2 * h * want,
            "/ 2 * h divides by 2 and then multiplies by h: write / (2 * h)": want * h**2,
            "f(x - h) - f(x + h): the sign is reversed": -want,
            "the elements of y were summed: this is an upstream gradient of ones, not the Jacobian": summed,
        },
    )


def each(x: np.ndarray, h: float) -> list[np.ndarray]:
    """Return a step along each element of x, in their order."""
    return [h * row.reshape(x.shape) for row in np.eye(x.size)]


def engines(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, h: float) -> np.ndarray:
    """Return the engine's Jacobian, whose rows are the elements of x."""
    return jacobian(lambda arrays: f(arrays["x"]), {"x": x}, "x", h).T
