"""Lesson 2: two variants of the cross-entropy."""

import numpy as np


def log_softmax(logits):
    """Return the logarithm of softmax(logits), (N, K) for (N, K)."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def targets(logits, labels, smoothing):
    """Return t, (N, K): e/K for each class, and 1 - e on top for the right one."""
    t = np.full_like(logits, smoothing / logits.shape[1])
    t[np.arange(len(logits)), labels] += 1 - smoothing
    return t


def smoothed_loss(logits, labels, smoothing):
    """Return the mean over the batch of -Σ_k t_k log p_k, a number."""
    return -(targets(logits, labels, smoothing) * log_softmax(logits)).sum() / len(logits)


def smoothed_cross_entropy(logits, labels, smoothing):
    """Return the smoothed loss, a number, and its gradient with respect to the logits, (N, K).

    -Σ_k t_k log p_k = Σ_k t_k (log-sum-exp - z_k) = log-sum-exp - Σ_k t_k z_k, since Σ_k t_k = 1. Its derivative with
    respect to z_j is p_j - t_j.
    """
    dz = (np.exp(log_softmax(logits)) - targets(logits, labels, smoothing)) / len(logits)
    return smoothed_loss(logits, labels, smoothing), dz


def binary_loss(logits, labels):
    """Return the mean loss of a yes-or-no network, a number."""
    return (np.logaddexp(0.0, logits) - logits * labels).mean()


def binary_gradient(logits, labels):
    """Return the gradient of binary_loss with respect to the logits, (N,): (probability - label) / N."""
    small = np.exp(-np.abs(logits))  # at most 1
    belief = np.where(logits >= 0, 1.0, small) / (1.0 + small)
    return (belief - labels) / len(logits)
