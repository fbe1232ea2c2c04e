"""What lesson 11's exercises must return, and the usual mistakes."""

import math
from collections.abc import Callable

import numpy as np

from minikd.lessons import Work
from minikd.losses import softmax
from minikd.report.soft_targets import mean_entropy
from minikd.typing import Floats, Ints


def check(work: Work) -> None:
    """Check the two functions: one against a loop over the samples, the other against scipy's root finder."""
    rng = np.random.default_rng(11)
    labels = np.concatenate([np.arange(5), rng.integers(5, size=43)])
    logits = 2 * rng.standard_normal((48, 5)) + 3 * (labels[:, None] == np.arange(5))
    check_second_thoughts(work, logits, labels, 2.5)
    for bits in (0.3, 1.6, 2.25):
        temperature(work, logits, bits)


def without_own(p: Floats, labels: Ints) -> Floats:
    """Return p (N, K) without the label's class, each row summing to 1 again; sample by sample."""
    rest = p.copy()
    for row, label in zip(rest, labels, strict=True):
        row[label] = 0.0
        row /= row.sum()
    return rest


def by_class(rows: Floats, classes: Ints) -> Floats:
    """Return the mean row of each class, (K, K)."""
    return np.stack([rows[classes == c].mean(axis=0) for c in range(rows.shape[1])])


def check_second_thoughts(work: Work, logits: Floats, labels: Ints, T: float) -> None:
    """Check `second_thoughts`."""
    p, K = softmax(logits, T), logits.shape[1]
    want, means = by_class(without_own(p, labels), labels), by_class(p, labels)
    off = 1 - np.eye(K)
    late = means * off / (means * off).sum(1, keepdims=True)
    hot = by_class(without_own(softmax(logits, 1 / T), labels), labels)
    sums = want * np.bincount(labels.astype(np.intp))[:, None]
    work.same(
        "second_thoughts",
        (logits, labels, T),
        want,
        suspects={
            "the class itself is still included: this is the matrix of the lesson": means,
            "divide the remaining probabilities of each sample by their sum": means * off,
            "divided by the sum after the mean: first divide each sample by its own sum": late,
            "the temperature is missing": by_class(without_own(softmax(logits), labels), labels),
            "divide the logits by the temperature, do not multiply": hot,
            "divide each class by the number of its samples": sums,
            "divided by all N samples, not by those of the class": sums / len(labels),
            "rows and columns are swapped: row c is the class of the label": want.T,
            "use the class of the label, not the most probable class of the teacher": predicted(p),
        },
    )


def predicted(p: Floats) -> Floats:
    """Return what comes out with the likeliest class for the label: a mistake."""
    found = p.argmax(axis=1)
    return by_class(without_own(p, found), found)


def temperature(work: Work, logits: Floats, bits: float) -> None:
    """Check `temperature_for` at one entropy."""

    def in_bits(T: float) -> float:
        return mean_entropy(logits, T) / math.log(2)

    def of_mean(T: float) -> float:
        mean = softmax(logits, T).mean(axis=0)
        return float(-(mean * np.log2(mean)).sum())

    suspects = {
        "the entropy uses the natural logarithm: bits need base 2": lambda T: mean_entropy(logits, T),
        "the entropies of the samples were summed: take their mean": lambda T: in_bits(T) * len(logits),
        "this is the entropy of the mean soft target, not the mean of the entropies": of_mean,
        "the entropies were averaged over N and K: sum over the classes": lambda T: in_bits(T) / logits.shape[1],
    }
    found = {text: root(function, bits) for text, function in suspects.items()}
    right = root(in_bits, bits)
    found["this is 1/T: divide by the temperature, so that a higher temperature gives more entropy"] = 1 / right
    found["the wrong half is kept: the search ends at its lower end"] = 0.01
    found["the wrong half is kept: the search ends at its upper end"] = 10_000.0
    claim = f"the mean entropy at temperature_for(logits, {bits:g}) is {bits:g} bits"
    work.same("temperature_for", (logits, bits), right, claim=claim, within=1e-7, suspects=found)


def root(function: Callable[[float], float], wanted: float) -> float:
    """Return the temperature at which a rising function has the wanted value; NaN where it never has."""
    from scipy.optimize import brentq

    low, high = math.log(0.01), math.log(10_000)
    if not function(0.01) < wanted < function(10_000.0):
        return math.nan
    return math.exp(brentq(lambda x: function(math.exp(x)) - wanted, low, high, xtol=1e-13))
