"""Lesson 4: a numeric Jacobian, and a backward pass that ones cannot check. Check it with `minikd check 04`."""

from collections.abc import Callable

import numpy as np


def jacobian(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, h: float) -> np.ndarray:
    """Return the derivative of each element of y = f(x) with respect to each of x, by centred differences with step h.

    x and y may have any shape. The result has a row for each element of y and a column for each element of x, both in
    the order of `ravel()`: (y.size, x.size). Do not change x. It is read-only, so copy it.
    """
    raise NotImplementedError("write jacobian")


def share(x: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return y (N, K), each row of x (N, K) divided by its sum, and the cache: y, and the sums (N, 1). Given."""
    sums = x.sum(axis=1, keepdims=True)
    y = x / sums
    return y, (y, sums)


def share_backward(dy: np.ndarray, cache: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return dx (N, K) from dy (N, K) and the cache of `share`: y (N, K) and the sums (N, 1).

    Begin on paper: y_k = x_k / s and s = Σ_j x_j. So x_j affects y_j directly and, through s, every y_k of its row.
    """
    raise NotImplementedError("write share_backward")
