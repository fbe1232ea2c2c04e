"""Lesson 7, solved."""

import numpy as np


def output_size(size, kernel, stride, padding, dilation):
    """Return how many windows fit along one side: the kernel covers dilation·(kernel - 1) + 1 pixels."""
    covered = dilation * (kernel - 1) + 1
    return (size + 2 * padding - covered) // stride + 1


def depthwise(x, w, b, padding):
    """Return y (N, C, P, Q): a convolution of each channel of x with its own kernel, at stride 1."""
    (N, C, H, W), (_, R, S) = x.shape, w.shape
    P, Q = H + 2 * padding - R + 1, W + 2 * padding - S + 1
    wide = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.zeros((N, C, P, Q)) + b[:, None, None]
    for r, s in np.ndindex(R, S):
        y += wide[:, :, r : r + P, s : s + Q] * w[:, r, s, None, None]
    return y
