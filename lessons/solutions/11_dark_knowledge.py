"""Lesson 11, solved."""

import numpy as np


def softmax(logits, temperature):
    """Return the softened probabilities, (N, K) for (N, K)."""
    e = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return e / e.sum(1, keepdims=True)


def second_thoughts(logits, labels, temperature):
    """Return (K, K): the mean soft target of each class without the class itself."""
    own = labels[:, None] == np.arange(logits.shape[1])
    rest = np.where(own, 0.0, softmax(logits, temperature))
    rest = rest / rest.sum(1, keepdims=True)
    return own.T.astype(float) @ rest / own.sum(0)[:, None]  # (K, K) = (K, N) @ (N, K)


def temperature_for(logits, bits):
    """Return the temperature at which the mean entropy of the soft targets is `bits`."""
    low, high = 0.01, 10_000.0
    for _ in range(60):
        middle = np.sqrt(low * high)
        p = softmax(logits, middle)
        entropy = -(p * np.log2(np.maximum(p, np.finfo(float).tiny))).sum(1).mean()
        low, high = (middle, high) if entropy < bits else (low, middle)
    return np.sqrt(low * high)
