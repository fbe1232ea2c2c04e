"""Lesson 15, solved."""

import math

from minikd.backends import module_of


def one_hot(labels, classes):
    """Return rows with a 1 at the label and 0 elsewhere: (N, K) float32, for labels (N,) from 0 to K - 1."""
    xp = module_of(labels)
    return (labels[:, None] == xp.arange(classes)).astype(xp.float32)


def gelu(x):
    """Return x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), of the shape and dtype of x."""
    xp = module_of(x)
    return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
