"""What lesson 1's exercises must return, and the usual mistakes."""

import numpy as np

from minikd import losses
from minikd.lessons import Work


def check(work: Work) -> None:
    """Check both functions against the engine's log_softmax, on small logits and on large ones."""
    z, T = 3 * np.random.default_rng(1).standard_normal((4, 6)), 4.0
    large = np.array([[0.0, 1e4, -1e4], [1e4, 1e4, 0.0]])
    logarithms(work, z, large, T)
    logq, at_1 = losses.log_softmax(z, T), losses.log_softmax(z)
    by_row = -(np.exp(logq) * logq).sum(1)
    work.same(
        "entropy",
        (z, T),
        by_row,
        suspects={
            "the sign is reversed: log p is negative, so the sum needs a minus before it": -by_row,
            "the temperature is missing": -(np.exp(at_1) * at_1).sum(1),
            "the temperature multiplies, but must divide": hotter(z * T),
            "the weights p are missing: multiply each log p by its p": -logq.sum(1),
            "np.mean over the classes, but the entropy is a sum": by_row / z.shape[1],
            "this is in bits: the logarithm is np.log, the natural one, not np.log2": by_row / np.log(2),
            "the sum runs over the whole batch: one entropy for each row (axis=1)": np.full_like(by_row, by_row.sum()),
        },
    )
    work.same(
        "entropy",
        (large, 1.0),
        np.array([0.0, np.log(2)]),
        claim="entropy of logits of 10,000: use log_softmax, because 0 times log 0 is NaN",
    )
    work.same("entropy", (np.zeros((2, 10)), T), np.full(2, np.log(10)), claim="the entropy of equal logits is log K")


def logarithms(work: Work, z: np.ndarray, large: np.ndarray, T: float) -> None:
    """Check log_softmax."""
    want = losses.log_softmax(z, T)
    columns = losses.log_softmax(z.T.copy(), T).T
    shifted = z / T - (z / T).max(1, keepdims=True)
    work.same(
        "log_softmax",
        (z, T),
        want,
        suspects={
            "the temperature multiplies, but must divide": losses.log_softmax(z * T),
            "the temperature is missing": losses.log_softmax(z),
            "the sum runs over axis 0, the samples; a row is axis 1": columns,
            "this is softmax itself, without the logarithm": np.exp(want),
            "the largest was subtracted, but the logarithm of the sum of exponentials was not": shifted,
            "the logarithm was divided by T: divide the logits by T, before everything else": losses.log_softmax(z) / T,
            "np.log2 of the sum, but the inverse of exp is np.log, the natural logarithm": shifted
            - np.log2(np.exp(shifted).sum(1, keepdims=True)),
            "np.log2 of the sum, but the inverse of exp is np.log": z / T
            - np.log2(np.exp(z / T).sum(1, keepdims=True)),
            "this is log2 of the probabilities: use np.log, the natural logarithm": want / np.log(2),
            "the sum runs over the whole batch: each row has its own (axis=1, keepdims=True)": whole_batch(z / T),
            "the largest was subtracted, but then the sum runs over the whole batch: each row has its own": whole_batch(
                shifted
            ),
        },
    )
    work.same(
        "log_softmax",
        (large, 1.0),
        losses.log_softmax(large),
        claim="log_softmax of logits of 10,000",
        suspects={
            "exp(10,000) is inf: subtract the largest logit of each row first": np.full_like(large, -np.inf),
            "the logarithm of a probability of 0 is -inf: do not use softmax here": logs_of_beliefs(large),
        },
    )


def whole_batch(z: np.ndarray) -> np.ndarray:
    """Return the logarithm of a softmax over all elements of the batch: a mistake."""
    return z - np.log(np.exp(z).sum())


def logs_of_beliefs(z: np.ndarray) -> np.ndarray:
    """Return the logarithm of softmax, taken of the beliefs: a mistake."""
    with np.errstate(divide="ignore"):
        return np.log(losses.softmax(z))


def hotter(z: np.ndarray) -> np.ndarray:
    """Return the entropies at T = 1."""
    logq = losses.log_softmax(z)
    return -(np.exp(logq) * logq).sum(1)
