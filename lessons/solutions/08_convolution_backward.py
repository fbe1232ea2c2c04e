"""Lesson 8, solved."""

import numpy as np


def conv1d(x, w, stride):
    """Given: x (N, C, L), w (O, C, R), stride a whole number -> y (N, O, P), and what the backward pass needs."""
    (N, _, L), (O, _, R) = x.shape, w.shape
    P = (L - R) // stride + 1
    y = np.zeros((N, O, P), x.dtype)
    for p in range(P):
        y[:, :, p] = np.einsum("ncr,ocr->no", x[:, :, p * stride : p * stride + R], w)
    return y, (x, w, stride)


def conv1d_dw(dy, x, stride, taps):
    """Return dw (O, C, R): for each weight, the sum of dy times the elements that it was multiplied with."""
    end = stride * (dy.shape[2] - 1) + 1
    met = [x[:, :, r : r + end : stride] for r in range(taps)]
    return np.stack([np.einsum("nop,ncp->oc", dy, seen) for seen in met], axis=2)


def conv1d_dx(dy, w, stride, length):
    """Return dx (N, C, L): add the gradient of each window to the elements that it read."""
    dx = np.zeros((len(dy), w.shape[1], length), dy.dtype)
    end = stride * (dy.shape[2] - 1) + 1
    for r in range(w.shape[2]):
        dx[:, :, r : r + end : stride] += np.einsum("nop,oc->ncp", dy, w[:, :, r])
    return dx


def conv1d_backward(dy, cache):
    """Given: dy (N, O, P) -> dx, dw, by your two functions."""
    x, w, stride = cache
    return conv1d_dx(dy, w, stride, x.shape[2]), conv1d_dw(dy, x, stride, w.shape[2])
