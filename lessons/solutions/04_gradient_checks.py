"""Lesson 4: a numeric Jacobian, and a backward pass that ones cannot check."""

from collections.abc import Callable

import numpy as np


def jacobian(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, h: float) -> np.ndarray:
    """Return the derivative of each element of y = f(x) with respect to each element of x: (y.size, x.size)."""
    columns = []
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        columns.append((f(up) - f(down)).ravel() / (2 * h))
    return np.stack(columns, axis=1)


def share(x: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return y (N, K), each row of x (N, K) divided by its sum, and the cache: y, and the sums (N, 1)."""
    sums = x.sum(axis=1, keepdims=True)
    y = x / sums
    return y, (y, sums)


def share_backward(dy: np.ndarray, cache: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return dx (N, K).

    By the quotient rule, ∂y_k/∂x_j is δ_kj/s - x_k/s², that is, (δ_kj - y_k)/s. Sum dy_k times this over k.
    """
    y, sums = cache
    return (dy - (dy * y).sum(axis=1, keepdims=True)) / sums
