"""What lesson 6's exercises must return, and the usual mistakes."""

from collections.abc import Callable

import numpy as np

from minikd.lessons import Work
from minikd.optim import Adam, AdamW, Optimizer

LR, BETA1, BETA2, EPS, DECAY = 0.1, 0.8, 0.9, 0.01, 0.5


def check(work: Work) -> None:
    """Check both against a loop and the engine."""
    rng = np.random.default_rng(6)
    w, gradients = rng.standard_normal(4), rng.standard_normal((6, 4)) * [10, 1, 0.1, 1]
    work.same(
        "rmsprop",
        (w, gradients, LR, BETA2, EPS),
        squares(w, gradients, lambda g, v, old: g / (np.sqrt(v) + EPS)),
        suspects={
            "the step uses the old v: update v first": squares(
                w, gradients, lambda g, v, old: g / (np.sqrt(old) + EPS)
            ),
            "eps belongs outside the root": squares(w, gradients, lambda g, v, old: g / np.sqrt(v + EPS)),
            "the root is missing: v is a mean of squares": squares(w, gradients, lambda g, v, old: g / (v + EPS)),
            "only the last weights are returned": squares(w, gradients, lambda g, v, old: g / (np.sqrt(v) + EPS))[-1],
            "v is not kept from step to step": squares(
                w, gradients, lambda g, v, old: g / (np.sqrt((1 - BETA2) * g**2) + EPS)
            ),
            "the sign is reversed: a step goes against the gradient": squares(
                w, gradients, lambda g, v, old: -g / (np.sqrt(v) + EPS)
            ),
        },
    )
    want = engine(AdamW((BETA1, BETA2), EPS, DECAY), w, gradients)
    work.same(
        "adamw",
        (w, gradients, LR, BETA1, BETA2, EPS, DECAY),
        want,
        suspects={
            "the decay was added to the gradient: then it is part of the means, and is divided by √v": engine(
                Adam((BETA1, BETA2), EPS, DECAY), w, gradients
            ),
            "the decay is missing": engine(Adam((BETA1, BETA2), EPS), w, gradients),
            "the correction is missing: divide m and v by 1 - beta**t": uncorrected(w, gradients),
            "the decay lacks the learning rate: w ← (1 - lr decay) w": engine(
                AdamW((BETA1, BETA2), EPS, DECAY / LR), w, gradients
            ),
            "the betas are swapped: beta1 is for the mean of the gradient": engine(
                AdamW((BETA2, BETA1), EPS, DECAY), w, gradients
            ),
        },
    )


def squares(w: np.ndarray, gradients: np.ndarray, step: Callable[..., np.ndarray]) -> np.ndarray:
    """Return the weights after each step of `step(g, v, v before)`."""
    v, path = np.zeros_like(w), []
    for g in gradients:
        old, v = v, BETA2 * v + (1 - BETA2) * g**2
        w = w - LR * step(g, v, old)
        path.append(w)
    return np.array(path)


def engine(optimizer: Optimizer, w: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return the weights after each step of an engine's optimiser."""
    w, path = w.copy(), []
    state = optimizer.init(w)
    for g in gradients:
        optimizer.step(w, g, state, LR)
        path.append(w.copy())
    return np.array(path)


def uncorrected(w: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return AdamW's weights without the correction: a mistake."""
    m, v, path = np.zeros_like(w), np.zeros_like(w), []
    for g in gradients:
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g**2
        w = (1 - LR * DECAY) * w - LR * m / (np.sqrt(v) + EPS)
        path.append(w)
    return np.array(path)
