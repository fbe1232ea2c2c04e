"""Lesson 16, solved."""

import numpy as np


def quantise(w, scale):
    """Return round(w / scale) as int8 (O, C, R, S)."""
    return np.round(w / scale[:, None, None, None]).astype(np.int8)


def scales(w):
    """Return (O,): the largest |w| of each output channel, divided by 127."""
    return np.abs(w).max(axis=(1, 2, 3)) / 127


def dequantise(q, scale):
    """Return floats (O, C, R, S)."""
    return q * scale[:, None, None, None]
