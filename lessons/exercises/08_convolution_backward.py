"""Lesson 8: the backward pass of a convolution along one axis. Check it with `minikd check 08`. It needs numpy."""

import numpy as np


def conv1d(x, w, stride):
    """Given: x (N, C, L), w (O, C, R), stride a whole number -> y (N, O, P), and what the backward pass needs.

    y[n, o, p] = the sum over c, r of x[n, c, p * stride + r] * w[o, c, r]: no padding, no bias.
    """
    (N, _, L), (O, _, R) = x.shape, w.shape
    P = (L - R) // stride + 1
    y = np.zeros((N, O, P), x.dtype)
    for p in range(P):
        y[:, :, p] = np.einsum("ncr,ocr->no", x[:, :, p * stride : p * stride + R], w)
    return y, (x, w, stride)


def conv1d_dw(dy, x, stride, taps):
    """Return dw (O, C, R) from dy (N, O, P), where R is `taps`.

    x: (N, C, L). With which element of x was w[o, c, r] multiplied in output p?
    """
    raise NotImplementedError("write conv1d_dw")


def conv1d_dx(dy, w, stride, length):
    """Return dx (N, C, L) from dy (N, O, P), where L is `length`.

    w: (O, C, R). dx has the dtype of dy. The gradient of an element of x is a sum over the windows that it is in. The
    last elements may be in none.
    """
    raise NotImplementedError("write conv1d_dx")


def conv1d_backward(dy, cache):
    """Given: dy (N, O, P) -> dx, dw, by your two functions."""
    x, w, stride = cache
    return conv1d_dx(dy, w, stride, x.shape[2]), conv1d_dw(dy, x, stride, w.shape[2])
