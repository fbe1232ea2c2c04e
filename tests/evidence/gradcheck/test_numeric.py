"""Finite differences and the inputs that make them trustworthy."""

import math

import numpy as np
import pytest

from minikd.errors import SizeError
from minikd.evidence.gradcheck.numeric import STEP, jacobian, random_direction, slope, tie_free


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (2, 3, 7, 6), (0, 3), ()])
def test_tie_free_values_are_far_apart_and_far_from_zero(shape):
    x = tie_free(shape, np.random.default_rng(0))
    assert x.shape == shape
    assert x.dtype == np.float64
    if x.size:
        assert np.abs(x).min() >= 0.5 / x.size
        assert np.abs(x).max() <= 2.5
    if x.size > 1:
        assert np.diff(np.sort(x.ravel())).min() >= 3 / x.size > 20 * STEP / math.sqrt(x.size)


@pytest.mark.parametrize(("shape", "words"), [((10**6, 10**6), "1000000 x 1000000"), ((10**30,), str(10**30))])
def test_an_input_too_large_for_the_memory_is_refused_before_it_is_made(shape, words):
    with pytest.raises(
        SizeError, match=f"checking an input of {words} values would take .* are free; use a smaller --s"
    ):
        tie_free(shape, np.random.default_rng(0))


def test_tie_free_is_shuffled_and_has_both_signs():
    x = tie_free((50,), np.random.default_rng(0))
    assert not np.array_equal(x, np.sort(x))
    assert 20 <= (x > 0).sum() <= 30
    assert np.array_equal(x, tie_free((50,), np.random.default_rng(0)))


def test_a_direction_has_length_one_and_no_small_component():
    d = random_direction({"a": np.zeros((3, 4)), "b": np.zeros(5)}, np.random.default_rng(0))
    flat = np.concatenate([d["a"].ravel(), d["b"]])
    assert math.isclose(np.linalg.norm(flat), 1)
    assert np.abs(flat).min() > np.abs(flat).max() / 4
    assert (flat > 0).any()
    assert (flat < 0).any()


def test_slope_of_a_smooth_function_is_good_to_ten_digits():
    found = slope(lambda t: math.exp(math.sin(1 + t)))
    assert math.isclose(found.value, math.exp(math.sin(1)) * math.cos(1), rel_tol=1e-10)


def test_slope_shrinks_its_step_until_a_kink_is_out_of_reach():
    found = slope(lambda t: max(t + 3e-6, 0.0) * 2, doubt=1e-8)
    assert found.step < 3e-6
    assert math.isclose(found.value, 2, rel_tol=1e-8)


def test_slope_admits_that_it_knows_nothing_at_a_jump():
    assert slope(lambda t: float(t > 1e-9)).doubt > 1


def test_slope_of_what_is_not_finite_is_nan():
    assert math.isnan(slope(lambda t: math.nan).value)


def test_jacobian():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    found = jacobian(lambda arrays: arrays["a"] @ arrays["b"], {"a": a, "b": b}, "a")
    assert np.allclose(found, [[5, 0], [6, 0], [0, 5], [0, 6]], atol=1e-8)
    assert np.allclose(jacobian(lambda arrays: arrays["a"] @ arrays["b"], {"a": a, "b": b}, "b"), a.T, atol=1e-8)
