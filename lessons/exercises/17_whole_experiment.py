"""Lesson 17: hold images out, and state a result in a word. Check them with `minikd check 17`."""

import numpy as np


def split(labels, share, rng):
    """Return (train, held): the indices of the samples to learn from, and of those held out, both sorted.

    labels: (N,) class numbers. share: the fraction of *each class* that is held out, rounded down. For example, of 7
    samples and with a share of 0.3, hold out 2. rng: a numpy.random.Generator. Call rng.permutation on the samples of
    each class, in ascending order of the classes, and hold out the first ones of each permutation.
    """
    raise NotImplementedError("write split")


def verdict(ours, theirs):
    """Return "fewer", "more" or "undecided".

    ours, theirs: the errors of two students, (S,) one for each seed, in the same order: the differences are paired.
    Return "undecided" if the 95 % interval of their mean (Student's t, S - 1 degrees of freedom) includes 0. Its
    half-width is t · s/√S, where s is the standard deviation (divisor S - 1) and t is scipy.stats.t.ppf(0.975, S - 1).
    """
    raise NotImplementedError("write verdict")
