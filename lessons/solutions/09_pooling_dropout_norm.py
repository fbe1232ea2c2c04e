"""Lesson 9: layer norm, and a maximum with another rule for ties, solved."""

import numpy as np


def layer_norm(x, gamma, beta):
    """Return y (N, C) and the cache."""
    rho = 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    xhat = (x - x.mean(1, keepdims=True)) * rho
    return gamma * xhat + beta, (xhat, rho, gamma)


def layer_norm_backward(dy, cache):
    """Return dx (N, C), dgamma (C,) and dbeta (C,): means over the features, sums over the samples."""
    xhat, rho, gamma = cache
    g = gamma * dy
    dx = rho * (g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True))
    return dx, (dy * xhat).sum(0), dy.sum(0)


def tied_max(x):
    """Return the maximum of each row, y (N,), and the cache: the position of the last maximum, and the shape."""
    winner = x.shape[1] - 1 - x[:, ::-1].argmax(1)
    return x.max(1), (winner, x.shape)


def tied_max_backward(dy, cache):
    """Return dx (N, C) from dy (N,)."""
    winner, shape = cache
    dx = np.zeros(shape, dy.dtype)
    dx[np.arange(shape[0]), winner] = dy
    return dx
