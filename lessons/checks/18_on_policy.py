"""What lesson 18's exercises must return, and the usual mistakes."""

import numpy as np

from minikd import losses
from minikd.lessons import Work
from minikd.nn.embedding import embedding, embedding_backward


def check(work: Work) -> None:
    """Check the gradient against the engine's, and the divergence against the sum over all texts."""
    rng = np.random.default_rng(18)
    table(work, rng)
    q_first, p_first = losses.softmax(rng.standard_normal((2, 5)))
    q_second, p_second = losses.softmax(rng.standard_normal((2, 25)).reshape(10, 5)).reshape(2, 5, 5)
    q, p = q_first[:, None] * q_second, p_first[:, None] * p_second
    first = np.sum(q_first * np.log(q_first / p_first))
    second = np.sum(q_second * np.log(q_second / p_second), axis=1)
    want = np.sum(q * np.log(q / p))
    work.same(
        "texts_reverse_kl",
        (q_first, q_second, p_first, p_second),
        want,
        suspects={
            "the second letter's divergence is weighted by the teacher: the student writes these texts": (
                first + p_first @ second
            ),
            "this is KL(p ‖ q): the arguments are swapped": np.sum(p * np.log(p / q)),
            "the second letter's divergences are only summed: weight each by the probability of the first letter": (
                first + second.sum()
            ),
            "the mean over the first letters: weight each by its probability": first + second.mean(),
            "the first letter's divergence is missing": q_first @ second,
            "the second letter's divergence is missing": first,
            "this is in bits: the logarithm is np.log, the natural one, not np.log2": want / np.log(2),
            "the sign is reversed": -want,
        },
    )


def table(work: Work, rng: np.random.Generator) -> None:
    """Check the embedding's gradient."""
    ids, dy = rng.integers(0, 5, (4, 6)), rng.standard_normal((4, 6, 3))
    ids[0] = 2
    want = embedding_backward(dy, embedding(ids, np.zeros((7, 3)))[1])
    once, places = np.zeros_like(want), np.bincount(ids.ravel().astype(np.intp), minlength=7)[:, None]
    once[ids] += dy
    work.same(
        "embedding_backward",
        (dy, ids, 7),
        want,
        suspects={
            "dw[ids] += dy adds once for each letter, not each time: use np.add.at or a one-hot product": once,
            "each sum is divided by the count of the letter: the chain rule sums": want / np.maximum(places, 1),
            "the mean over the texts: the 1/N belongs to the loss": want / 4,
            "divided by the number of all positions": want / 24,
        },
    )
    work.same(
        "embedding_backward",
        (dy.astype(np.float32), ids, 7),
        want,
        claim="embedding_backward of float32 is float32",
        within=1e-5,
        part=lambda dw: dw if getattr(dw, "dtype", None) == np.float32 else np.full_like(want, np.nan),
    )
