"""Lesson 1: the logarithm of softmax, and the entropy, for logits of any size. Check it with `minikd check 01`."""

import numpy as np


def log_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the logarithm of softmax(logits/temperature), (N, K) for (N, K).

    The result must be finite for logits of 10,000. So do not take the log of a number that may have become 0.
    """
    raise NotImplementedError("write log_softmax")


def entropy(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the entropy of each row's probabilities, (N,) for logits (N, K): -Σ_k p_k log p_k, never NaN."""
    raise NotImplementedError("write entropy")
