"""Lesson 1: the logarithm of softmax, and the entropy, for logits of any size."""

import numpy as np


def log_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the logarithm of softmax(logits/temperature), (N, K) for (N, K)."""
    z = logits / temperature
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def entropy(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the entropy of each row's probabilities, (N,) for logits (N, K)."""
    logp = log_softmax(logits, temperature)
    return -(np.exp(logp) * logp).sum(axis=1)
