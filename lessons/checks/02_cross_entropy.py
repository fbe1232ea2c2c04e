"""What lesson 2's exercises must return, and the usual mistakes."""

import numpy as np

from minikd import losses
from minikd.lessons import Work


def check(work: Work) -> None:
    """Check the smoothed loss and its gradient, then the loss of two classes."""
    smoothed(work)
    binary(work)


def smoothed(work: Work) -> None:
    """Check both functions against the engine's label smoothing."""
    rng = np.random.default_rng(2)
    z, labels, smoothing = 2 * rng.standard_normal((4, 6)), np.array([5, 0, 2, 2]), 0.3
    N, K = z.shape
    logp, right = losses.log_softmax(z), np.arange(K) == labels[:, None]
    value, plain = (losses.cross_entropy(z, labels, e)[0] for e in (smoothing, 0.0))
    others = np.where(right, 1 - smoothing, smoothing / (K - 1))
    only = np.where(right, 1 - smoothing, smoothing / K)
    work.same(
        "smoothed_loss",
        (z, labels, smoothing),
        value,
        suspects={
            "the mean over all N·K elements: divide by N": value / K,
            "the 1/N of the mean is missing": value * N,
            "the sign is reversed: log p is negative": -value,
            "the targets are still one-hot: the smoothing is missing": plain,
            "e was shared by the other classes, e/(K - 1) each; every class must get e/K, also the right one": loss_of(
                others, logp
            ),
            "the right class gets 1 - e on top of its e/K; a row of t must sum to 1": loss_of(only, logp),
            "each class gets e/K, not e": loss_of(right * (1 - smoothing) + smoothing, logp),
            "this is in bits: the logarithm is np.log, the natural one, not np.log2": value / np.log(2),
            "the softmax runs over the whole batch: each row has its own (axis=1, keepdims=True)": loss_of(
                np.where(right, 1 - smoothing, 0) + smoothing / K, z - np.log(np.exp(z).sum())
            ),
        },
    )
    work.loss(
        "smoothed_cross_entropy",
        z,
        labels,
        smoothing,
        usual="the gradient is (p - t)/N: softmax p along the rows (axis 1), the targets t of your loss, N samples",
    )
    work.same(
        "smoothed_loss",
        (np.array([[1e4, 0.0, -1e4]]), np.array([2]), 0.3),
        0.8 * 2e4 + 0.1 * 1e4,
        claim="smoothed_loss of logits of ±10,000: the log of a probability of 0 would be -inf",
    )


def binary(work: Work) -> None:
    """Check both functions against the engine's cross-entropy of two classes, with the logits 0 and z."""
    z, y = np.array([-2.0, 0.3, 1.7, 4.0, -0.6]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    pairs, classes = np.stack([np.zeros_like(z), z], axis=1), y.astype(np.int64)
    value, dpairs = losses.cross_entropy(pairs, classes)
    turned = losses.cross_entropy(pairs, 1 - classes)
    dz, belief = dpairs[:, 1], 1 / (1 + np.exp(-z))
    work.same(
        "binary_loss",
        (z, y),
        value,
        suspects={
            "the 1/N of the mean is missing": value * len(z),
            "the sign is reversed": -value,
            "yes and no are swapped: the label is 1 for yes": turned[0],
            "this is in bits: the logarithm is np.log, the natural one, not np.log2": value / np.log(2),
            "only the samples with the label 1 count: those with 0 have the loss log(1 + exp(z))": -np.mean(
                y * np.log(belief)
            ),
        },
    )
    work.same(
        "binary_gradient",
        (z, y),
        dz,
        suspects={
            "the 1/N of the mean is missing": dz * len(z),
            "the sign is reversed: what the network says, minus what it should say": -dz,
            "yes and no are swapped: the label is 1 for yes": turned[1][:, 1],
            "label minus logit: compare the probability 1/(1 + exp(-z)) with the label, not z itself": (z - y) / len(z),
            "the factor p (1 - p) is too much: it cancels with the derivative of the logarithm": (
                dz * belief * (1 - belief)
            ),
        },
    )
    large, no = np.array([1e4, -1e4]), np.array([0.0, 1.0])
    work.same("binary_loss", (large, no), 1e4, claim="binary_loss of logits of ±10,000: exp would be inf")
    with np.errstate(over="raise"):
        work.same("binary_gradient", (large, no), [0.5, -0.5], claim="binary_gradient of logits of ±10,000")


def loss_of(t: np.ndarray, logp: np.ndarray) -> float:
    """Return the mean cross-entropy with the targets t."""
    return float(-(t * logp).sum() / len(logp))
