"""Lesson 18: the gradient of an embedding, and the divergence of short texts. Check them with `minikd check 18`."""

import numpy as np


def embedding_backward(dy, ids, rows):
    """Return dw (rows, D), the gradient with respect to the table, of the dtype of dy.

    ids: (N, L) whole numbers below `rows`, the letters of N texts; dy: (N, L, D), the gradient with respect to their
    rows. A letter may occur many times. A letter that does not occur has a gradient of 0.
    """
    raise NotImplementedError("write embedding_backward")


def texts_reverse_kl(q_first, q_second, p_first, p_second):
    """Return KL(q ‖ p) of texts of two letters, a number, without listing the texts.

    q_first: (K,), the student's probabilities of the first letter. q_second: (K, K), with those of the second letter
    after k in row k. p_first and p_second: the teacher's. All are positive.
    """
    raise NotImplementedError("write texts_reverse_kl")
