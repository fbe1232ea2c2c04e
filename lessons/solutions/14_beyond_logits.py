"""Lesson 14, solved."""

import numpy as np


def directions(x):
    """Return the rows of x (N, D), each divided by its length: (N, D)."""
    return x / np.sqrt((x**2).sum(1, keepdims=True))


def directions_backward(da, x):
    """Return dx (N, D): the part of da perpendicular to the row, divided by the length of the row."""
    a, length = directions(x), np.sqrt((x**2).sum(1, keepdims=True))
    return (da - a * (a * da).sum(1, keepdims=True)) / length


def cosine_loss(fs, ft):
    """Return the mean over the N samples of 1 - cosine of the two features, a number."""
    return 1 - np.sum(directions(fs) * directions(ft)) / len(fs)


def cosine_gradient(fs, ft):
    """Return the gradient of cosine_loss with respect to fs, (N, D)."""
    return directions_backward(-directions(ft) / len(fs), fs)
