"""Lesson 13, solved."""

import math

import numpy as np


def sign_test(ours, theirs):
    """Return the two-sided probability that coin tosses split at least as unevenly as the seeds."""
    better, worse = int(np.sum(ours < theirs)), int(np.sum(ours > theirs))
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1)) / 2**n
    return min(1.0, 2 * tail)


def expected_calibration_error(probabilities, labels, bins):
    """Return Σ_b n_b/N · |share of right answers in bin b - mean confidence in bin b|."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total
