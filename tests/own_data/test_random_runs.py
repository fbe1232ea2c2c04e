"""A few random data sets go the whole way of the default run; `python -m tests.own_data.random_runs` takes a hundred."""

import pytest

from tests.own_data.random_runs import one_run


@pytest.mark.parametrize("number", range(6))
def test_a_random_data_set_is_distilled_without_a_crash_a_divergence_or_a_false_claim(number, tmp_path):
    found = one_run(number, tmp_path, most=120, side=20)
    assert found["wrong"] == []
    assert found["steps_back"] == []
