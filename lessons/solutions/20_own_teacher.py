"""Lesson 20, solved."""

import numpy as np


def rescaling(mean, std, wanted_mean, wanted_std):
    """Return the weight (C, C, 1, 1) and the bias (C,) of a 1x1 convolution, both float32."""
    weight = np.diag(np.divide(std, wanted_std))[:, :, None, None]
    bias = np.subtract(mean, wanted_mean) / wanted_std
    return weight.astype(np.float32), bias.astype(np.float32)


def dense_of_channels_last(weight, shape):
    """Return the dense layer's weight (O, C·H·W) for features flattened in the order (C, H, W)."""
    C, H, W = shape
    return weight.reshape(H, W, C, -1).transpose(3, 2, 0, 1).reshape(-1, C * H * W)
