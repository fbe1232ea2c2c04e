"""Lesson 3: two variants of the linear layer. Check them with `minikd check 03`."""

import numpy as np


def scale_shift(x, g, b):
    """Return y (N, C) and the cache: y_nc = g_c x_nc + b_c. x (N, C), g and b (C,)."""
    raise NotImplementedError("write scale_shift")


def scale_shift_backward(dy, cache):
    """Return dx (N, C), dg (C,) and db (C,) from dy (N, C)."""
    raise NotImplementedError("write scale_shift_backward")


def masked(x, w, mask):
    """Return y (N, O) and the cache: y = x @ (mask * w).T. x (N, C), w (O, C), mask (O, C) of True (on) and False."""
    raise NotImplementedError("write masked")


def masked_backward(dy, cache):
    """Return dx (N, C) and dw (O, C) from dy (N, O). The mask is a constant and has no gradient."""
    raise NotImplementedError("write masked_backward")
