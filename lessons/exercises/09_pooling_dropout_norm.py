"""Lesson 9: layer norm, and a maximum with another rule for ties. Check them with `minikd check 09`."""

import numpy as np


def layer_norm(x, gamma, beta):
    """Return y (N, C) and the cache. x (N, C), gamma and beta (C,).

    Mean and variance are those of each sample over its C features: shape (N, 1). The variance is the mean of the
    squares, and 1e-5 is added to it under the root. There is one scale gamma and one shift beta for each feature.
    """
    raise NotImplementedError("write layer_norm")


def layer_norm_backward(dy, cache):
    """Return dx (N, C), dgamma (C,) and dbeta (C,) from dy (N, C)."""
    raise NotImplementedError("write layer_norm_backward")


def tied_max(x):
    """Return the maximum of each row, y (N,), and the cache. x (N, C)."""
    raise NotImplementedError("write tied_max")


def tied_max_backward(dy, cache):
    """Return dx (N, C) from dy (N,): the last of several equal maxima of a row gets dy, the others get 0."""
    raise NotImplementedError("write tied_max_backward")
