"""Lesson 15: two functions for any array library.

Do not call np on the arrays. Get their library: from minikd.backends import module_of; xp = module_of(x).
"""


def one_hot(labels, classes):
    """Return rows with a 1 at the label and 0 elsewhere: (N, K) float32, for labels (N,) from 0 to K - 1.

    The result must be in the same memory as the labels.
    """
    raise NotImplementedError("a row for each label")


def gelu(x):
    """Return x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), of the shape and dtype of x.

    The constants must be Python floats, or float32 becomes float64.
    """
    raise NotImplementedError("GELU")
