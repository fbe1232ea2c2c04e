import numpy as np
import pytest
from hypothesis import given

from minikd.errors import DtypeError, ShapeError
from minikd.losses import mse
from tests.losses.logits import logits, many


def test_by_hand():
    """Differences 1, -2, 0, 3: the mean of 1, 4, 0, 9, and 2/4 of the differences."""
    loss, dy = mse(np.array([[2.0, 0.0], [5.0, 4.0]]), np.array([[1.0, 2.0], [5.0, 1.0]]))
    assert loss == 3.5
    assert dy.tolist() == [[0.5, -1.0], [0.0, 1.5]]


@many
@given(logits(count=2))
def test_any_scale_and_both_dtypes(pair):
    loss, dy = mse(*pair)
    assert loss.dtype == dy.dtype == pair[0].dtype
    difference = pair[0].astype("float64") - pair[1]
    assert loss == pytest.approx(np.square(difference).mean(), rel=1e-4)
    np.testing.assert_allclose(dy, 2 * difference / difference.size, rtol=1e-4, atol=1e-6)


def test_any_number_of_axes():
    assert mse(np.ones((2, 3, 4)), np.zeros((2, 3, 4)))[0] == 1
    assert mse(np.ones(5), np.zeros(5))[1].tolist() == [0.4] * 5


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match=r"prediction has shape \(3, 1\), but target has \(3,\)"):
        mse(np.ones((3, 1)), np.ones(3))
    with pytest.raises(DtypeError, match="prediction is float32, but target is float64"):
        mse(np.ones(3, np.float32), np.ones(3))


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ShapeError, match="the mean of no elements is undefined"):
        mse(np.ones((0, 3)), np.ones((0, 3)))
