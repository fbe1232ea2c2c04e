"""Lesson 15: two functions for any array library.

Ask the arrays, and call no np on them: from minikd.backends import module_of; xp = module_of(x).
"""


def one_hot(labels, classes):
    """Return rows that are 0 but for a 1 at the label: (N, K) float32, for whole numbers (N,) from 0 to K - 1.

    The result lies where the labels lie.
    """
    raise NotImplementedError("a row for each label")


def gelu(x):
    """Return x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), of the shape and dtype of x.

    The constants are Python floats, or else float32 becomes float64.
    """
    raise NotImplementedError("GELU")
