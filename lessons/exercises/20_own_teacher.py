"""Lesson 20: two steps of the transfer of a teacher. Check them with `minikd check 20`."""

import numpy as np


def rescaling(mean, std, wanted_mean, wanted_std):
    """Return the weight (C, C, 1, 1) and the bias (C,) of a 1x1 convolution, both float32.

    It turns pixels that are normalised with `mean` and `std`, (x - mean) / std, into pixels normalised with the wanted
    ones. Each argument has a number for each of the C channels.
    """
    raise NotImplementedError("write rescaling")


def dense_of_channels_last(weight, shape):
    """Return the dense layer's weight (O, C·H·W) for features flattened in the order (C, H, W).

    weight: (H·W·C, O), from a library that has a row for each input and flattens in the order (H, W, C). shape: (C, H,
    W), the shape of the features before flattening.
    """
    raise NotImplementedError("write dense_of_channels_last")
