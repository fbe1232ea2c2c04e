"""What lesson 13's exercises must return, and the usual mistakes."""

import numpy as np
from scipy.stats import binomtest

from minikd import losses, metrics
from minikd.lessons import Work


def check(work: Work) -> None:
    """Check both functions: the first against scipy, the second against the engine."""
    theirs = np.array([310, 305, 298, 320, 301, 299, 315, 307])
    ours = theirs - np.array([12, 5, 0, 9, -3, 7, 0, 4])  # better in five, worse in one, equal in two
    work.same(
        "sign_test",
        (ours, theirs),
        binomtest(1, 6).pvalue,
        claim="sign_test: five better, one worse, two equal",
        suspects={
            "only one side: the other method could also be the better one, so double it": binomtest(1, 6).pvalue / 2,
            "equal seeds are counted among the n tosses; leave them out": binomtest(1, 8).pvalue,
            "equal seeds are counted as worse; leave them out": binomtest(3, 8).pvalue,
            "this is the probability of exactly this split; sum over all splits that are at least as uneven": 2
            * 6
            / 2**6,
            "this is the probability of exactly this split, on one side; sum over all that are at least as uneven": 6
            / 2**6,
            "the sum must include the smaller count: range(k) ends at k - 1": 2 / 2**6,
        },
    )
    work.same(
        "sign_test",
        (theirs, theirs[::-1].copy()),
        1.0,
        claim="sign_test: four better, four worse",
        suspects={
            "doubling one side counts the middle twice: limit p to 1": 2 * binomtest(4, 8, alternative="less").pvalue
        },
    )
    work.same("sign_test", (theirs, theirs), 1.0, claim="sign_test: all equal, so there is no toss")
    calibration(work)


def calibration(work: Work) -> None:
    """Check the expected calibration error on answers that are too sure."""
    rng = np.random.default_rng(13)
    logits, labels = 3 * rng.standard_normal((200, 4)), rng.integers(0, 4, 200)
    labels[:120] = logits[:120].argmax(1)
    p = losses.softmax(logits)
    bars = metrics.reliability(logits, labels, 10)
    filled, gaps = bars.counts > 0, bars.accuracy - bars.confidence
    weights = bars.counts / bars.counts.sum()
    work.same(
        "expected_calibration_error",
        (p, labels, 10),
        bars.ece,
        suspects={
            "every bin has the same weight; weight it by its share n_b/N of the samples": np.abs(gaps[filled]).mean(),
            "every bin has the same weight, even an empty one; weight it by its share n_b/N": np.abs(gaps).mean(),
            "the weight is n_b and not n_b/N": bars.ece * len(p),
            "without the absolute value, bins that are too sure and bins that are too unsure cancel": (
                weights * gaps
            ).sum(),
            "confidence minus accuracy: without the absolute value, bins cancel": -(weights * gaps).sum(),
            "the confidence is the largest probability, not the label's": by_label(p, labels),
        },
    )
    edges = np.array([[1.0, 0.0, 0.0], [0.92, 0.05, 0.03], [0.5, 0.3, 0.2], [0.45, 0.35, 0.2]])
    high, low = 0.5 * abs(0.5 - 0.96), 0.5 * abs(0.5 - 0.475)  # two bins of two: one right, one wrong in each
    fallen, split = 0.25 * 0.08, 0.25 * 0.5 + 0.25 * 0.55
    work.same(
        "expected_calibration_error",
        (edges, np.array([1, 0, 1, 0]), 10),
        high + low,
        claim="expected_calibration_error, at the edges of bins",
        suspects={
            "a confidence of exactly 1 is in no bin, but the last bin includes its upper end": fallen + low,
            "a bin includes its upper end and not its lower: 0.5 belongs to (0.4, 0.5], 1 to (0.9, 1]": fallen + split,
            "a bin includes its upper end and not its lower: 0.5 belongs to (0.4, 0.5]": high + split,
        },
    )


def by_label(p: np.ndarray, labels: np.ndarray) -> float:
    """Return the error with the label's probability for the confidence: a mistake."""
    confidence, right = p[np.arange(len(p)), labels], p.argmax(1) == labels
    index = np.clip(np.ceil(confidence * 10).astype(int) - 1, 0, 9)
    return float(
        sum(
            (index == b).mean() * abs(right[index == b].mean() - confidence[index == b].mean())
            for b in np.unique(index)
        )
    )
