"""The metrics against numbers worked out by hand, against formulas written another way, and against their own laws."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax as scipy_log_softmax
from scipy.stats import binomtest, chi2

from minikd import metrics
from minikd.errors import ConfigError, DataError, DtypeError, MinikdError, ShapeError

LABELS = np.array([0, 1, 2, 2])
# Predicted 0, 1, 1, 2 with probabilities that are easy to say: exp of these logits are the odds.
LOGITS = np.log(np.array([[8.0, 1, 1], [1, 6, 3], [1, 7, 2], [0.5, 0.5, 9]]))


@st.composite
def answers(draw, models=1):
    samples, classes = draw(st.integers(1, 30)), draw(st.integers(2, 6))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    values = st.floats(-50, 50, width=32)
    logits = [draw(arrays(dtype, (samples, classes), elements=values)) for _ in range(models)]
    return *logits, draw(arrays(np.int64, samples, elements=st.integers(0, classes - 1)))


def test_errors_and_accuracy_by_hand():
    assert metrics.errors(LOGITS, LABELS) == 1
    assert metrics.accuracy(LOGITS, LABELS) == 0.75


def test_nll_by_hand():
    expected = -(math.log(0.8) + math.log(0.6) + math.log(0.2) + math.log(0.9)) / 4
    assert metrics.nll(LOGITS, LABELS) == pytest.approx(expected, rel=1e-12)


def test_ece_by_hand():
    # Confidences 0.8, 0.6, 0.7, 0.9 and right, right, wrong, right. Two bins would put all four in the upper one.
    assert metrics.ece(LOGITS, LABELS, bins=2) == pytest.approx(0, abs=1e-12)
    # Alone in their bins: 0.2, 0.4, 0.7 and 0.1 away from what happened.
    assert metrics.ece(LOGITS, LABELS, bins=1000) == pytest.approx((0.2 + 0.4 + 0.7 + 0.1) / 4, rel=1e-12)


def test_confusion_matrix_by_hand():
    assert metrics.confusion_matrix(LOGITS, LABELS).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_agreement_by_hand():
    other = LOGITS.copy()
    other[0] = [0, 0, 1]
    assert metrics.agreement(LOGITS, other) == 0.75


def one_hot(predictions, classes=3):
    return np.eye(classes)[predictions]


def test_mcnemar_by_hand():
    labels = np.zeros(12, dtype=int)
    a = one_hot([1] * 8 + [0] + [1] + [0] * 2)
    b = one_hot([0] * 8 + [1] + [1] + [0] * 2)
    # 8 against 1 of 9 tosses: 2 (C(9,0) + C(9,1)) / 2^9.
    assert metrics.mcnemar(a, b, labels) == metrics.McNemar(8, 1, pytest.approx(20 / 512, rel=1e-12))


def test_mcnemar_of_equal_models_is_one():
    assert metrics.mcnemar(LOGITS, LOGITS, LABELS) == metrics.McNemar(0, 0, 1.0)


@given(st.integers(0, 60), st.integers(0, 60))
@settings(deadline=None)
def test_mcnemar_is_the_binomial_sum_in_exact_fractions(only_a, only_b):
    tosses = only_a + only_b
    labels = np.zeros(tosses + 1, dtype=int)
    a = one_hot([1] * only_a + [0] * only_b + [0])
    b = one_hot([0] * only_a + [1] * only_b + [0])
    tail = sum(Fraction(math.comb(tosses, k), 2**tosses) for k in range(min(only_a, only_b) + 1))
    found = metrics.mcnemar(a, b, labels)
    assert (found.only_a_wrong, found.only_b_wrong) == (only_a, only_b)
    assert found.p == pytest.approx(float(min(1, 2 * tail)), rel=1e-9)


def test_mcnemar_nears_the_chi_squared_form_for_many_samples():
    labels = np.zeros(2000, dtype=int)
    a, b = one_hot([1] * 1060 + [0] * 940), one_hot([0] * 1060 + [1] * 940)
    statistic = (abs(1060 - 940) - 1) ** 2 / 2000  # Edwards's continuity correction
    assert metrics.mcnemar(a, b, labels).p == pytest.approx(chi2.sf(statistic, 1), rel=0.02)


@given(answers())
@settings(deadline=None)
def test_nll_is_scipys(case):
    logits, labels = case
    expected = -np.mean([scipy_log_softmax(row.astype(float))[k] for row, k in zip(logits, labels, strict=True)])
    assert metrics.nll(logits, labels) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(answers(), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_nll_does_not_see_a_shift_of_the_logits(case, shift):
    logits, labels = case
    shifted = logits.astype(float) + shift
    assert metrics.nll(shifted, labels) == pytest.approx(metrics.nll(logits, labels), rel=1e-9, abs=1e-9)


def test_a_perfect_score_has_no_sign():
    assert math.copysign(1, metrics.nll(np.array([[1e4, 0.0]]), np.array([0]))) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nll_is_exact_where_a_plain_softmax_overflows(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], dtype=dtype)
    assert metrics.nll(logits, np.array([0, 0])) == 1e4


def ece_in_a_loop(logits, labels, bins):
    total = 0.0
    probabilities = np.exp(scipy_log_softmax(logits.astype(float), axis=1))
    for b in range(bins):
        inside = [i for i, p in enumerate(probabilities) if b / bins < max(p) <= (b + 1) / bins]
        if inside:
            right = sum(logits[i].argmax() == labels[i] for i in inside)
            total += abs(right - sum(max(probabilities[i]) for i in inside))
    return total / len(labels)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_is_the_sum_over_bins_written_as_a_loop(bins):
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(0, 2, (500, 7)), rng.integers(0, 7, 500)
    assert metrics.ece(logits, labels, bins) == pytest.approx(ece_in_a_loop(logits, labels, bins), rel=1e-12)


@given(answers(), st.integers(1, 30))
@settings(deadline=None)
def test_ece_is_a_probability_and_its_bins_hold_every_sample(case, bins):
    logits, labels = case
    bars = metrics.reliability(logits, labels, bins)
    assert 0 <= metrics.ece(logits, labels, bins) <= 1
    assert bars.counts.shape == bars.accuracy.shape == bars.confidence.shape == (bins,)
    assert bars.counts.sum() == len(labels)
    assert np.dot(bars.counts, bars.accuracy) == pytest.approx(len(labels) - metrics.errors(logits, labels))


def test_each_bin_holds_its_own_confidences():
    rng = np.random.default_rng(5)
    bars = metrics.reliability(rng.normal(0, 2, (500, 4)), rng.integers(0, 4, 500), bins=10)
    filled = bars.counts > 0
    edges = np.linspace(0, 1, 11)
    assert (bars.confidence[filled] > edges[:-1][filled]).all()
    assert (bars.confidence[filled] <= edges[1:][filled]).all()
    assert not bars.confidence[~filled].any()
    assert filled.sum() > 5


def test_certainty_falls_into_the_last_bin_and_a_boundary_into_the_lower_one():
    logits = np.array([[1e4, 0.0], [0.0, 0.0]])
    assert metrics.reliability(logits, np.array([0, 0]), bins=4).counts.tolist() == [0, 1, 0, 1]


@given(answers(models=2))
@settings(deadline=None)
def test_agreement_and_mcnemar_are_symmetric(case):
    a, b, labels = case
    there, back = metrics.mcnemar(a, b, labels), metrics.mcnemar(b, a, labels)
    assert metrics.agreement(a, b) == metrics.agreement(b, a)
    assert metrics.agreement(a, a) == 1
    assert (there.only_a_wrong, there.only_b_wrong) == (back.only_b_wrong, back.only_a_wrong)
    assert there.p == pytest.approx(back.p)
    assert there.only_a_wrong - there.only_b_wrong == metrics.errors(a, labels) - metrics.errors(b, labels)


@given(answers())
@settings(deadline=None)
def test_the_confusion_matrix_counts_every_sample_once(case):
    logits, labels = case
    matrix = metrics.confusion_matrix(logits, labels)
    classes = logits.shape[1]
    assert matrix.shape == (classes, classes)
    assert matrix.sum(axis=1).tolist() == [int((labels == k).sum()) for k in range(classes)]
    assert len(labels) - np.trace(matrix) == metrics.errors(logits, labels)


def test_small_label_dtypes_do_not_overflow():
    labels = np.arange(200, dtype=np.uint8)
    assert np.array_equal(metrics.confusion_matrix(np.eye(200), labels), np.eye(200))


def test_no_argument_is_changed():
    logits, labels = LOGITS.copy(), LABELS.copy()
    metrics.nll(logits, labels)
    metrics.ece(logits, labels)
    metrics.mcnemar(logits, logits, labels)
    assert np.array_equal(logits, LOGITS)
    assert np.array_equal(labels, LABELS)


WITH_LABELS = [metrics.errors, metrics.accuracy, metrics.nll, metrics.ece, metrics.confusion_matrix]


@pytest.mark.parametrize("metric", WITH_LABELS)
@pytest.mark.parametrize(
    ("logits", "labels", "kind", "message"),
    [
        (LOGITS[0], LABELS, ShapeError, r"logits have shape \(3,\).*\(N, K\)"),
        (LOGITS[:0], LABELS[:0], ShapeError, "at least one sample"),
        (LOGITS, LABELS[:3], ShapeError, r"labels have shape \(3,\).*need \(4,\)"),
        (LOGITS, np.eye(3)[LABELS], ShapeError, r"labels have shape \(4, 3\)"),
        (LOGITS, LABELS / 1.0, DtypeError, "float64.*integers"),
        (LOGITS, LABELS + 1, DataError, "label 3 is out of range.*3 classes"),
        (LOGITS, LABELS - 1, DataError, "label -1 is out of range"),
        (LOGITS + np.array([[0], [0], [np.nan], [0]]), LABELS, DataError, "sample 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(metric, logits, labels, kind, message):
    with pytest.raises(kind, match=message) as caught:
        metric(logits, labels)
    assert isinstance(caught.value, MinikdError)


def test_two_models_must_answer_the_same_questions():
    with pytest.raises(ShapeError, match=r"\(4, 3\) and \(3, 3\)"):
        metrics.agreement(LOGITS, LOGITS[:3])
    with pytest.raises(ShapeError, match="must be equal"):
        metrics.mcnemar(LOGITS, LOGITS[:, :2], LABELS)


def test_no_bins_are_refused():
    with pytest.raises(ConfigError, match="bins is 0"):
        metrics.ece(LOGITS, LABELS, bins=0)


@pytest.mark.parametrize("samples", [1, 7, 100, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_the_interval_of_errors_is_scipys(samples, share):
    wrong = round(share * samples)
    expected = binomtest(wrong, samples).proportion_ci(0.95, "wilson")
    assert metrics.wilson_interval(wrong, samples) == pytest.approx(
        (samples * expected.low, samples * expected.high), rel=1e-4, abs=1e-4
    )


def test_the_interval_of_a_difference_by_hand():
    """8 and 2 of 98: Bonett & Price have 9 and 3 of 100, mean 0.06, variance (0.12 - 0.06²) / 100."""
    half = 1.96 * math.sqrt((0.12 - 0.06**2) / 100)
    assert metrics.paired_interval(8, 2, 98)[1] == pytest.approx(98 * (0.06 + half), rel=1e-12)
    assert metrics.paired_interval(8, 2, 98)[0] == pytest.approx(10 * (2 * 0.4439045 - 1), rel=1e-6)  # Clopper-Pearson
    assert metrics.paired_interval(0, 0, 10) == pytest.approx((-2.3, 2.3), abs=0.1)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0, 1, 30, 10_000]))
@settings(deadline=None)
def test_the_interval_of_a_difference_excludes_0_exactly_where_mcnemar_is_significant(only_a, only_b, more):
    samples = max(1, only_a + only_b + more)
    low, high = metrics.paired_interval(only_a, only_b, samples)
    p = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    assert (low > 0 or high < 0) == (p < 0.05)
    assert -samples <= low <= only_a - only_b <= high <= samples
    assert metrics.paired_interval(only_b, only_a, samples) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("samples", "a", "b"), [(50, 0.06, 0.02), (200, 0.05, 0.05), (100, 0.3, 0.1)])
def test_the_interval_of_a_difference_covers_the_truth_in_95_of_100_samples(samples, a, b):
    """a, b: the probability that a sample is answered wrong by the first model alone, and by the second alone."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(samples, [a, b, 1 - a - b], 400)
    intervals = [metrics.paired_interval(int(one), int(other), samples) for one, other, _ in draws]
    assert np.mean([low <= samples * (a - b) <= high for low, high in intervals]) >= 0.94
