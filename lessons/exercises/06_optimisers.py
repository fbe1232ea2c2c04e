"""Lesson 6: two optimisers. Check them with `minikd check 06`."""

import numpy as np


def rmsprop(w, gradients, lr, beta, eps):
    """Return the weights after each step, (steps, P).

    w: (P,) the first weights. gradients: (steps, P), one for each step. RMSprop keeps one running mean, of the squared
    gradient, v = 0 at first: v ← beta v + (1 - beta) g². Its step is w ← w - lr g / (√v + eps), with the new v.
    """
    raise NotImplementedError("write rmsprop")


def adamw(w, gradients, lr, beta1, beta2, eps, decay):
    """Return the weights after each step, (steps, P): Adam's step, and beside it w ← (1 - lr decay) w.

    w: (P,) the first weights. gradients: (steps, P). The decay is applied to the weights as they were before the step,
    and never enters the running means. The first step has t = 1.
    """
    raise NotImplementedError("write adamw")
