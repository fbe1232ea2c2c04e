"""Lesson 6: two optimisers, solved."""

import numpy as np


def rmsprop(w, gradients, lr, beta, eps):
    """Return the weights after each step, (steps, P)."""
    v, path = np.zeros_like(w), []
    for g in gradients:
        v = beta * v + (1 - beta) * g**2
        w = w - lr * g / (np.sqrt(v) + eps)
        path.append(w)
    return np.array(path)


def adamw(w, gradients, lr, beta1, beta2, eps, decay):
    """Return the weights after each step, (steps, P): Adam's step, and in addition w ← (1 - lr decay) w."""
    m, v, path = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        step = lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        w = (1 - lr * decay) * w - step
        path.append(w)
    return np.array(path)
