"""Lesson 6: two optimisers. Check them with `minikd check 06`."""

import numpy as np


def rmsprop(w, gradients, lr, beta, eps):
    """Return the weights after each step, (steps, P).

    w: (P,) the first weights. gradients: (steps, P), one for each step. RMSprop keeps a running mean of the squared
    gradient, which starts at v = 0: v ← beta v + (1 - beta) g². Its step is w ← w - lr g / (√v + eps), with the new v.
    """
    raise NotImplementedError("write rmsprop")


def adamw(w, gradients, lr, beta1, beta2, eps, decay):
    """Return the weights after each step, (steps, P): Adam's step, and in addition w ← (1 - lr decay) w.

    w: (P,) the first weights. gradients: (steps, P). The decay applies to the weights before the step, and is not part
    of the running means. The first step has t = 1.
    """
    raise NotImplementedError("write adamw")
