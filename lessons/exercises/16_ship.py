"""Lesson 16: a convolution in int8. Check it with `minikd check 16`."""

import numpy as np


def scales(w):
    """Return (O,): the largest |w| of each output channel, divided by 127. w: (O, C, R, S), no channel all zeros."""
    raise NotImplementedError("write scales")


def quantise(w, scale):
    """Return round(w / scale) as int8 (O, C, R, S). w: (O, C, R, S); scale: (O,), one for each output channel."""
    raise NotImplementedError("write quantise")


def dequantise(q, scale):
    """Return floats (O, C, R, S): q times its channel's scale. q: int8 (O, C, R, S); scale: (O,)."""
    raise NotImplementedError("write dequantise")
