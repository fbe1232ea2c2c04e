"""Lesson 17: hold images out, and find the word for a result. Check them with `minikd check 17`."""

import numpy as np


def split(labels, share, rng):
    """Return (train, held): the numbers of the samples to learn from, and of those held out; both sorted.

    labels: (N,) class numbers. share: the fraction of *each class* that is held out, rounded down: 7 samples of a class
    and a share of 0.3 make 2. rng: a numpy.random.Generator that decides which ones, by rng.permutation over the
    samples of a class, the classes in ascending order: the first ones of each permutation are held out.
    """
    raise NotImplementedError("write split")


def verdict(ours, theirs):
    """Return "fewer", "more" or "undecided".

    ours, theirs: the errors of two students, (S,) one for each seed, in the same order: the differences are paired.
    Undecided is where the 95 % interval of their mean, by Student's t with S - 1 degrees of freedom, holds 0. The
    half-width is t · s/√S with s the standard deviation (divisor S - 1); t is scipy.stats.t.ppf(0.975, S - 1).
    """
    raise NotImplementedError("write verdict")
