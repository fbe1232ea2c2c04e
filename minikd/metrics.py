"""Measures of a model's answers: errors, likelihood, calibration, the difference of two models, and its uncertainty.

Every function gets logits on the host, (N, K) in float32 or float64, and integer labels (N,), and computes in float64.
Wrong shapes raise `ShapeError`, labels that are not integers `DtypeError`, labels out of range and NaN `DataError`.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minikd.checks import check_float, whole_number
from minikd.errors import DataError, DtypeError, ShapeError
from minikd.losses import log_softmax, softmax
from minikd.typing import Floats, Ints

Z = 1.96
"""95 % of a normal distribution is within this many standard deviations of its mean."""


def errors(logits: Floats, labels: Ints) -> int:
    """Return for how many of the N samples the largest logit is not the label's. In a tie, the first class counts."""
    _check(logits, labels)
    return int(np.count_nonzero(logits.argmax(axis=1) != labels))


def accuracy(logits: Floats, labels: Ints) -> float:
    """Return the fraction of samples whose largest logit is the label's, 0 to 1."""
    return 1 - errors(logits, labels) / len(labels)


def brier(logits: Floats, labels: Ints) -> float:
    """Return the mean squared distance of the probabilities from the label's one-hot row, 0 to 2.

    1/N Σ |softmax(logits) - onehot(label)|² (Brier 1950). This is a proper scoring rule too, but it is bounded: a
    sample with a wrong and certain answer costs 2, not infinity.
    """
    _check(logits, labels)
    p = softmax(logits.astype(np.float64))
    p[np.arange(len(labels)), labels] -= 1
    return float(np.square(p).sum(axis=1).mean())


def nll(logits: Floats, labels: Ints) -> float:
    """Return the mean negative log-likelihood of the labels, in nats.

    -1/N Σ log softmax(logits)[label], by `log_softmax`, so logits of any size are safe. A proper scoring rule (Gneiting
    and Raftery 2007). A certain and wrong answer costs most.
    """
    _check(logits, labels)
    log_p = log_softmax(logits.astype(np.float64))
    return 0.0 - float(log_p[np.arange(len(labels)), labels].mean())  # a plain minus would make a perfect score -0.0


@dataclass(frozen=True)
class Reliability:
    """The bars of a reliability diagram: B bins of equal width. Bin b has the confidences in (b/B, (b+1)/B].

    `counts` (B,) are the samples in each bin, `confidence` and `accuracy` (B,) their means, 0 where a bin is empty.
    """

    counts: npt.NDArray[np.intp]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    @property
    def ece(self) -> float:
        """The expected calibration error, Σ counts/N · |accuracy - confidence|."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(logits: Floats, labels: Ints, bins: int = 15) -> Reliability:
    """Sort the samples into bins by the probability of their predicted class (Guo et al. 2017, section 2)."""
    _check(logits, labels)
    bins = whole_number(bins, "reliability: bins", 1)
    confidence = np.exp(log_softmax(logits.astype(np.float64)).max(axis=1))
    right = logits.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    filled = np.maximum(counts, 1)
    return Reliability(
        counts,
        np.bincount(index, confidence, minlength=bins) / filled,
        np.bincount(index, right, minlength=bins) / filled,
    )


def ece(logits: Floats, labels: Ints, bins: int = 15) -> float:
    """Return the expected calibration error of the predicted class, 0 to 1.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017), equation 3: how far, on average,
    a model's confidence is from the fraction of its answers that are right.
    """
    return reliability(logits, labels, bins).ece


def agreement(logits_a: Floats, logits_b: Floats) -> float:
    """Return the fraction of samples for which two models predict the same class, 0 to 1.

    Top-1 agreement of Stanton et al., "Does Knowledge Distillation Really Work?" (2021), section 3: the student's
    fidelity to its teacher, which is not the same as its accuracy.
    """
    _check_pair(logits_a, logits_b)
    return float(np.mean(logits_a.argmax(axis=1) == logits_b.argmax(axis=1)))


@dataclass(frozen=True)
class McNemar:
    """Two models on the same samples: how many samples only one of them gets wrong, and the p-value."""

    only_a_wrong: int
    only_b_wrong: int
    p: float


def mcnemar(logits_a: Floats, logits_b: Floats, labels: Ints) -> McNemar:
    """Test whether two models that saw the same samples have the same error rate (McNemar 1947, the exact form).

    Samples that both get right, or both get wrong, do not show which model is better. If the models were equally good,
    each of the other samples would be a coin toss. p is the two-sided binomial probability of a result at least as
    uneven as this one, and 1 if there are no such samples. Dietterich (1998) recommends this test for classifiers that
    were trained once.
    """
    _check_pair(logits_a, logits_b)
    _check(logits_a, labels)
    a_wrong = logits_a.argmax(axis=1) != labels
    b_wrong = logits_b.argmax(axis=1) != labels
    return mcnemar_of_counts(int(np.sum(a_wrong & ~b_wrong)), int(np.sum(b_wrong & ~a_wrong)))


def mcnemar_of_counts(only_a_wrong: int, only_b_wrong: int) -> McNemar:
    """Return McNemar's exact test from the numbers of samples that only one of two models gets wrong, see `mcnemar`."""
    split = only_a_wrong + only_b_wrong
    if split == 0:
        return McNemar(0, 0, 1.0)
    from scipy.stats import binomtest  # half a second that `import minikd` does not need

    return McNemar(only_a_wrong, only_b_wrong, float(binomtest(only_a_wrong, split, 0.5).pvalue))


def wilson_interval(wrong: int, samples: int) -> tuple[float, float]:
    """Return the 95 % interval of a number of errors among N samples (Wilson 1927), in errors.

    A model that errs on a fraction p of all samples makes k = N p ± z √(N p (1 - p)) errors on N of them. The interval
    has each N p for which the observed k is within these bounds. This is a quadratic equation in p. It stays within 0
    and N, and has a positive width for k = 0. The interval k ± z √(k (1 - k / N)) does neither.
    """
    centre, square = wrong + Z**2 / 2, wrong * (samples - wrong) / samples + Z**2 / 4
    half, shrink = Z * math.sqrt(square), samples / (samples + Z**2)
    return max(0.0, (centre - half) * shrink), min(float(samples), (centre + half) * shrink)


def paired_interval(only_a_wrong: int, only_b_wrong: int, samples: int) -> tuple[float, float]:
    """Return the 95 % interval of how many errors fewer model b makes than model a on N samples, in errors.

    The difference is b's gain, only_a_wrong - only_b_wrong. There are two intervals, and the outer bounds count. One is
    that of Bonett & Price (2012, Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data): normal, with one sample added to each of the two counts. The other inverts McNemar's exact test: the
    share of only_a_wrong among the samples that one model alone gets wrong (Clopper & Pearson 1934). Together they
    exclude 0 exactly if the p of `mcnemar` is below 0.05.
    """
    split = only_a_wrong + only_b_wrong
    mean = (only_a_wrong - only_b_wrong) / (samples + 2)
    half = Z * math.sqrt(((split + 2) / (samples + 2) - mean**2) / (samples + 2))
    low, high = samples * (mean - half), samples * (mean + half)
    if split:
        from scipy.stats import binomtest

        share = binomtest(only_a_wrong, split, 0.5).proportion_ci(0.95, "exact")
        low, high = min(low, split * (2 * share.low - 1)), max(high, split * (2 * share.high - 1))
    return max(-float(samples), low), min(float(samples), high)


def confusion_matrix(logits: Floats, labels: Ints) -> npt.NDArray[np.intp]:
    """Return counts (K, K): row k, column j is the number of samples of class k with the answer j."""
    _check(logits, labels)
    classes = logits.shape[1]
    pairs = labels.astype(np.intp) * classes + logits.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _check(logits: Floats, labels: Ints) -> None:
    _check_logits(logits, "logits")
    if labels.shape != logits.shape[:1]:
        raise ShapeError(f"labels have shape {labels.shape}, but the logits {logits.shape} need ({len(logits)},)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DtypeError(f"labels are {labels.dtype}, but must be integers: class numbers, not probabilities")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        found = low if low < 0 else high
        raise DataError(f"label {found} is out of range: the logits have {logits.shape[1]} classes, counted from 0")


def _check_pair(logits_a: Floats, logits_b: Floats) -> None:
    _check_logits(logits_a, "the first model's logits")
    _check_logits(logits_b, "the second model's logits")
    if logits_a.shape != logits_b.shape:
        raise ShapeError(f"the models' logits have shapes {logits_a.shape} and {logits_b.shape}, but must be equal")


def _check_logits(logits: Floats, name: str) -> None:
    if logits.ndim != 2 or 0 in logits.shape:
        raise ShapeError(f"{name} have shape {logits.shape}, but must be (N, K) with at least one sample and one class")
    check_float(logits, name)
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise DataError(f"{name} hold NaN or infinity, first at sample {row}: the model has diverged")
