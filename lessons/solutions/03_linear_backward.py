"""Lesson 3: two variants of the linear layer, solved."""

import numpy as np


def scale_shift(x, g, b):
    """Return y (N, C) and the cache: y_nc = g_c x_nc + b_c."""
    return g * x + b, (x, g)


def scale_shift_backward(dy, cache):
    """Return dx (N, C), dg (C,) and db (C,): g and b affect each sample, so dg and db are sums over the batch."""
    x, g = cache
    return g * dy, np.sum(dy * x, axis=0), dy.sum(0)


def masked(x, w, mask):
    """Return y (N, O) and the cache."""
    return x @ (mask * w).T, (x, w, mask)  # (N, O) = (N, C) @ (C, O)


def masked_backward(dy, cache):
    """Return dx (N, C) and dw (O, C): both passes use mask * w, and a weight that is off learns nothing."""
    x, w, mask = cache
    dx = dy @ (mask * w)  # (N, C) = (N, O) @ (O, C)
    dw = mask * (dy.T @ x)  # (O, C) = (O, N) @ (N, C)
    return dx, dw
