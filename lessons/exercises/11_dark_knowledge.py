"""Lesson 11: what is said beside the answer. Check it with `minikd check 11`."""

import numpy as np


def second_thoughts(logits, labels, temperature):
    """Return (K, K): what the teacher would say of each class if it were not allowed to say the class itself.

    logits: (N, K), labels: (N,). For each sample: softmax(logits/temperature), the label's own class put to 0, the
    others divided by their sum, so that they sum to 1 again. Row c is the mean over the samples of class c. All
    classes occur.
    """
    raise NotImplementedError("write second_thoughts")


def temperature_for(logits, bits):
    """Return the temperature at which the mean entropy of softmax(logits/T) over the N samples is `bits`.

    logits: (N, K); bits lies between 0 and log2 K. By bisection: the temperature lies between 0.01 and 10,000, where
    entropy rises with it. Look in the middle (of the logarithms: the root of low times high), see on which side the
    wanted entropy is, throw the other half away; 60 times.
    """
    raise NotImplementedError("write temperature_for")
