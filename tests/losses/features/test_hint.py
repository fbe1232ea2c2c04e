import numpy as np
import pytest

from minikd.errors import DtypeError, ShapeError
from minikd.losses import hint

RNG = np.random.default_rng(0)
FS, FT = RNG.standard_normal((9, 3)), RNG.standard_normal((9, 4))
W, B = RNG.standard_normal((4, 3)), RNG.standard_normal(4)


def test_by_hand():
    """Features 1 and 3 times 2, plus 1: 3 and 7 beside 2 and 9, so gaps 1 and -2; half of 1 and 4, the mean of two."""
    loss, dfs, dw, db = hint(np.array([[1.0], [3.0]]), np.array([[2.0], [9.0]]), np.array([[2.0]]), np.array([1.0]))
    assert loss == 1.25
    assert dfs.tolist() == [[1.0], [-2.0]]  # gap · 2/2
    assert dw.tolist() == [[-2.5]]  # (1·1 - 2·3)/2
    assert db.tolist() == [-0.5]


def test_nothing_is_left_to_learn_for_the_regressor_of_least_squares():
    """NumPy's lstsq finds the best w and b; there dw and db are 0, and the loss is half its residual."""
    solution, residuals, *_ = np.linalg.lstsq(np.hstack([FS, np.ones((9, 1))]), FT, rcond=None)
    loss, _, dw, db = hint(FS, FT, np.ascontiguousarray(solution[:3].T), solution[3])
    assert loss == pytest.approx(residuals.sum() / 18, rel=1e-12)
    assert max(abs(dw).max(), abs(db).max()) < 1e-14


def test_it_does_not_depend_on_the_order_of_the_teachers_values():
    order = [2, 0, 3, 1]
    (one, done, *_), (two, dtwo, *_) = hint(FS, FT, W, B), hint(FS, FT[:, order], W[order], B[order])
    assert two == pytest.approx(one, rel=1e-14)
    np.testing.assert_allclose(dtwo, done, rtol=1e-12)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"w has shape \(3, 4\), but must be \(4, 3\), to make 4 values of the 3"):
        hint(FS, FT, W.T, B)
    with pytest.raises(ShapeError, match=r"b has shape \(3,\), but must be \(4,\) for w of shape \(4, 3\)"):
        hint(FS, FT, W, B[:3])
    with pytest.raises(ShapeError, match=r"b has shape \(1,\)"):
        hint(FS, FT, W, B[:1])
    with pytest.raises(DtypeError, match="fs is float64, but w is float32"):
        hint(FS, FT, W.astype(np.float32), B)
    with pytest.raises(DtypeError, match="w is float64, but b is float32"):
        hint(FS, FT, W, B.astype(np.float32))
