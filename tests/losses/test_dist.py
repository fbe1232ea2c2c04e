import numpy as np
import pytest

from minikd.errors import ShapeError
from minikd.losses import dist

STUDENT = np.log(np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]))
TEACHER = np.log(np.array([[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]))


def test_rows_by_hand():
    """Centred and times 12: (2, -1, -1) and (-1, 2, -1), so ρ = -1/2; the second rows are equal, ρ = 1.

    w - ρu is (0, 3, -3)/(2√6), over ‖c‖ = 1/√24 (0, 3, -3); of two samples dq = (0, -3/2, 3/2), and Σ q dq = 0.
    """
    loss, dz = dist(STUDENT, TEACHER, 1.0, 2.0, 0.0)
    assert loss == pytest.approx(2 * 0.75, rel=1e-14)
    np.testing.assert_allclose(dz, 2 * np.array([[0, -0.375, 0.375], [0, 0, 0]]), rtol=1e-13, atol=1e-14)


def test_columns_by_hand():
    """Of the first the teacher's, of the second the student's does not vary; the third fall alike, of two values."""
    loss, dz = dist(STUDENT, TEACHER, 1.0, 0.0, 3.0)
    assert loss == pytest.approx(3 * (1 - 1 / 3), rel=1e-14)
    assert np.abs(dz).max() < 1e-13


def test_the_size_of_the_gradient_does_not_fade_with_temperature():
    z, v = np.random.default_rng(0).standard_normal((2, 8, 6))
    sizes = [np.abs(dist(z, v, T)[1]).max() for T in (4.0, 100.0)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_student_that_answers_all_samples_alike_gets_a_gradient_of_the_rows_alone(dtype):
    """All of its ReLUs are off, so that its logits are the last layer's biases."""
    z = np.tile(np.random.default_rng(0).standard_normal(10), (128, 1)).astype(dtype)
    v = np.random.default_rng(1).standard_normal((128, 10)).astype(dtype)
    loss, dz = dist(z, v, 1.0, 0.0, 1.0)
    assert loss == 1
    assert not dz.any()
    assert np.abs(dist(z, v)[1]).max() > 1e-4


def test_a_certain_student_has_a_finite_gradient_where_columns_are_all_zero():
    z = np.zeros((4, 3), np.float32)
    z[:, 0] = 200.0
    v = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    for result in dist(z, v):
        assert np.isfinite(result).all()


@pytest.mark.parametrize("shape", [(1, 3), (4, 1), (1, 1)])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_one_sample_or_one_class_is_refused_whatever_the_weights(shape, weights):
    with pytest.raises(ShapeError, match=r"two samples and two classes or more, because a single value has no corr"):
        dist(np.zeros(shape), np.ones(shape), 1.0, *weights)
