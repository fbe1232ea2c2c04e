"""Means, intervals and McNemar over seeds, against SciPy and by hand."""

import numpy as np
import pytest
from scipy import stats

from minikd import metrics
from minikd.errors import ConfigError
from minikd.evidence.experiments.statistics import interval, mcnemar_summed


@pytest.mark.parametrize("count", [2, 3, 5, 30])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_interval_is_scipys(count, level):
    values = np.random.default_rng(count).normal(100, 7, count).tolist()
    found = interval(values, level)
    low, high = stats.t.interval(level, count - 1, loc=np.mean(values), scale=stats.sem(values))
    assert found.count == count
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high), rel=1e-12)


def test_nineteen_of_twenty_intervals_hold_the_mean():
    rng = np.random.default_rng(0)
    inside = [
        abs(found.mean - 3) <= found.half for found in (interval(rng.normal(3, 2, 5).tolist()) for _ in range(2000))
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert interval([4.0]).half is None
    with pytest.raises(ConfigError, match="no values"):
        interval([])


def test_mcnemar_of_one_seed_is_the_metrics_own():
    rng = np.random.default_rng(0)
    a, b, labels = rng.normal(size=(200, 3)), rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    wrong = [np.flatnonzero(logits.argmax(1) != labels).tolist() for logits in (a, b)]
    ours, theirs = mcnemar_summed([(wrong[0], wrong[1])]), metrics.mcnemar(a, b, labels)
    assert ours == theirs


def test_mcnemar_sums_over_seeds():
    found = mcnemar_summed([([1, 2, 3], [3, 4]), ([1], [1]), ([5, 6], [])])
    assert (found.only_a_wrong, found.only_b_wrong) == (4, 1)
    assert found.p == pytest.approx(stats.binomtest(4, 5).pvalue)
    assert mcnemar_summed([([1], [1])]).p == 1.0
