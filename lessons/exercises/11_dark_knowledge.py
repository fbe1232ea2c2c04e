"""Lesson 11: the probabilities beside the answer. Check it with `minikd check 11`."""

import numpy as np


def second_thoughts(logits, labels, temperature):
    """Return (K, K): what the teacher says about each class if the class itself is excluded.

    logits: (N, K), labels: (N,). For each sample, compute softmax(logits/temperature), set the class of the label to 0,
    and divide by the sum, so that the row sums to 1 again. Row c is the mean over the samples of class c. All classes
    occur.
    """
    raise NotImplementedError("write second_thoughts")


def temperature_for(logits, bits):
    """Return the temperature at which the mean entropy of softmax(logits/T) over the N samples is `bits`.

    logits: (N, K); bits lies between 0 and log2 K. Use bisection. The temperature lies between low = 0.01 and high =
    10,000, where the entropy rises with it. Compute the entropy at the middle, √(low · high), keep the half that
    contains the wanted entropy, and repeat this 60 times.
    """
    raise NotImplementedError("write temperature_for")
