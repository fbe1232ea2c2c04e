"""Lesson 10: the cost of a network, and two measures. Check it with `minikd check 10`."""

import numpy as np


def cost(layers, image):
    """Return (parameters, multiply-adds for one image), two whole numbers, of a network.

    image: (C, H, W). layers: a list, in order, of
      ("conv", O, R, stride, padding)   O filters of C x R x R with a bias each; P = (H + 2·padding - R) // stride + 1
      ("pool", R)                       R x R windows that do not overlap: P = H // R, Q = W // R
      ("dense", O)                      from all inputs to O units with a bias each
    ReLU costs nothing and is left out.
    """
    raise NotImplementedError("write cost")


def top_k_accuracy(logits, labels, k):
    """Return the share of the N samples whose label is among the k classes with the largest logits, 0 to 1.

    logits: (N, K), all different within a row. labels: (N,), class numbers. np.argsort sorts from small to large.
    """
    raise NotImplementedError("write top_k_accuracy")


def mean_over_batches(means, sizes):
    """Return the mean over all samples of an epoch, a number.

    means: (B,), the mean loss of each of the B batches. sizes: (B,), how many samples each had; the last has fewer.
    """
    raise NotImplementedError("write mean_over_batches")
