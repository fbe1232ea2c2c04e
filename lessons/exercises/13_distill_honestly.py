"""Lesson 13: two numbers for a fair comparison. Check them with `minikd check 13`.

Import what you need: numpy, and math, whose math.comb(n, k) is the number of ways to choose k of n.
"""


def sign_test(ours, theirs):
    """Return the two-sided probability, 0 to 1, that coin tosses split at least as unevenly as the seeds.

    ours, theirs: (n,), the errors of two methods in n paired seeds. Count the seeds in which ours is better, and those
    in which theirs is. Leave out seeds in which both are equal. If none is left, return 1.
    """
    raise NotImplementedError("write sign_test")


def expected_calibration_error(probabilities, labels, bins):
    """Return Σ_b n_b/N · |share of right answers in bin b - mean confidence in bin b|, a number.

    probabilities: (N, K), rows sum to 1. labels: (N,) class numbers. A sample's answer is its most probable class. Its
    confidence is the probability of this class. Bin b of 0..bins-1 holds the n_b samples with a confidence in (b/bins,
    (b + 1)/bins].
    """
    raise NotImplementedError("write expected_calibration_error")
