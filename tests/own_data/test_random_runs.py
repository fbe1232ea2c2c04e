"""Random data sets go the whole way of the default run; `python -m tests.own_data.random_runs` takes a hundred."""

import pytest

from tests.own_data.random_runs import TINY, faults, one_run
from tests.report import sample


@pytest.mark.parametrize("number", range(6))
def test_a_random_data_set_is_distilled_without_a_crash_a_divergence_or_a_false_claim(number, tmp_path):
    found = one_run(number, tmp_path, most=120, side=12, steps=TINY)
    assert found["wrong"] == []
    assert found["steps_back"] == []
    assert found["wild_trials"] == []


def test_a_false_claim_would_be_found():
    results = {**sample.results(), "recommended": "student_distilled"}
    assert not any(faults(results).values())
    results["mcnemar"]["fewer_errors_interval"]["low"] = -1.0
    assert [text for text, bad in faults(results).items() if bad] == [
        "a win that its interval does not bear",
        "a headline that its interval does not bear",
    ]
