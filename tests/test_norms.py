"""Limits on norms: by hand, PyTorch as reference, and what is refused."""

import math

import numpy as np
import pytest

from minikd.errors import ConfigError
from minikd.norms import clip_by_norm, limit_weights


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


def test_clipping_by_hand():
    grads = np.array([3.0, 4.0])
    clipped, norm = clip_by_norm(grads, 1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped, [0.6, 0.8], rtol=1e-6)
    assert grads.tolist() == [3.0, 4.0]
    same, norm = clip_by_norm(grads, 6.0)
    assert same.tolist() == [3.0, 4.0]
    assert norm == 5.0


def test_long_rows_are_shortened_and_short_ones_stay():
    weight = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    limit_weights(weight, 2.0)
    np.testing.assert_allclose(weight, [[1.2, 1.6], [0.3, 0.4], [0.0, 0.0]], rtol=1e-12)


def test_the_rows_of_a_transposed_weight_are_shortened_too():
    weight = np.array([[3.0, 0.3], [4.0, 0.4]]).T
    limit_weights(weight, 2.0)
    np.testing.assert_allclose(weight, [[1.2, 1.6], [0.3, 0.4]], rtol=1e-12)


def test_a_kernels_incoming_weights_are_all_its_channels(torch):
    weight = np.random.default_rng(1).normal(size=(4, 3, 2, 5)).astype(np.float32)
    weight[0] *= 0.1
    expected = torch.renorm(torch.tensor(weight), 2, 0, 3.0).numpy()
    before = weight.copy()
    limit_weights(weight, 3.0)
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert [np.array_equal(*rows) for rows in zip(weight, before, strict=True)] == [True, False, False, False]


@pytest.mark.numpy_only("on a device, asking whether there is anything to clip would make the host wait")
def test_a_gradient_that_needs_no_clipping_is_not_copied():
    grads = np.array([3.0, 4.0])
    assert clip_by_norm(grads, 6.0)[0] is grads


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 9.9, 1e6, np.float64(2.0), math.inf])
def test_clipping_equals_pytorch(torch, dtype, max_norm):
    grads = np.random.default_rng(3).standard_normal(97).astype(dtype)
    theirs = torch.nn.Parameter(torch.zeros(97, dtype=getattr(torch, np.dtype(dtype).name)))
    theirs.grad = torch.tensor(grads)
    expected = torch.nn.utils.clip_grad_norm_([theirs], float(max_norm))
    clipped, norm = clip_by_norm(grads, max_norm)
    assert clipped.dtype == norm.dtype == dtype
    tolerance = 1e-10 if dtype == np.float64 else 1e-6
    assert norm == pytest.approx(expected.item(), rel=tolerance)
    np.testing.assert_allclose(clipped, theirs.grad.numpy(), rtol=tolerance)


def test_a_norm_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"max_norm is 0\.0"):
        clip_by_norm(np.ones(2), 0.0)
