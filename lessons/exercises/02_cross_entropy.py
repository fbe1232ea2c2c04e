"""Lesson 2: two variants of the cross-entropy. Check them with `minikd check 02`."""

import numpy as np


def log_softmax(logits):
    """Return the logarithm of softmax(logits), (N, K) for (N, K). It is given; use it below if you like."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def smoothed_loss(logits, labels, smoothing):
    """Return the mean over the batch of -Σ_k t_k log p_k, a number.

    logits: (N, K); labels: (N,) class numbers; smoothing: a number e from 0 to below 1. The targets t are no longer
    one-hot: each class gets e/K, and the right class gets 1 - e on top of that. So each row of t sums to 1.
    """
    raise NotImplementedError("write smoothed_loss")


def smoothed_cross_entropy(logits, labels, smoothing):
    """Return the smoothed loss, a number, and its gradient with respect to the logits, (N, K).

    Repeat the lesson's steps 3 to 6 with t instead of Y. Where do they use that a row of Y sums to 1? Both results have
    the dtype of the logits, float32 or float64. np.full_like(logits, number) makes such an array.
    """
    raise NotImplementedError("write smoothed_cross_entropy")


def binary_loss(logits, labels):
    """Return the mean loss of a yes-or-no network, a number.

    logits: (N,); labels: (N,), 1.0 for yes and 0.0 for no. The probability of yes is 1/(1 + exp(-z)), the softmax of
    the two logits 0 and z. So the loss of one sample is log(exp(0) + exp(z)) - z·y. It must be finite for z = 10,000.
    """
    raise NotImplementedError("write binary_loss")


def binary_gradient(logits, labels):
    """Return the gradient of binary_loss with respect to the logits, (N,), finite for z = ±10,000, without warnings."""
    raise NotImplementedError("write binary_gradient")
