"""What every loss of features refuses, and that maps count as the rows they flatten to."""

import numpy as np
import pytest
from hypothesis import given

from minikd import losses
from minikd.errors import DtypeError, ShapeError
from tests.losses.features.pairs import pairs
from tests.losses.logits import many

RELATIONS = ("similarity_preserving", "rkd_distance", "rkd_angle", "pkt")


def call(name, fs, ft):
    """Return a loss's results, with weights of ones for those that have some."""
    width, wide = fs[0].size, ft[0].size
    if name == "contrastive":
        return losses.contrastive(fs, ft, np.ones((2, width), fs.dtype), np.ones((2, wide), fs.dtype))
    if name in ("hint", "cosine"):
        return getattr(losses, name)(fs, ft, np.ones((wide, width), fs.dtype), np.ones(wide, fs.dtype))
    return getattr(losses, name)(fs, ft)


EVERY = pytest.mark.parametrize("name", ["hint", "cosine", "contrastive", "attention_transfer", *RELATIONS])
OF_ROWS = pytest.mark.parametrize("name", ["hint", "cosine", "contrastive", *RELATIONS])


def maps(N=4, dtype="float64", channels=3):
    return np.random.default_rng(channels).standard_normal((N, channels, 2, 5)).astype(dtype)


@EVERY
def test_two_batches_are_refused(name):
    with pytest.raises(ShapeError, match="fs has 4 samples, but ft has 5: both must come from the same batch"):
        call(name, maps(4), maps(5))


@EVERY
def test_two_dtypes_and_whole_numbers_are_refused(name):
    with pytest.raises(DtypeError, match=r"fs is float32, but ft is float64; use astype\('float32'\) on the latter"):
        call(name, maps(dtype="float32"), maps())
    with pytest.raises(DtypeError, match="ft is int64, but must be float32 or float64"):
        call(name, maps(), maps().astype(np.int64))


@EVERY
@pytest.mark.parametrize("shape", [(4,), (4, 3, 2), (0, 3), (4, 0, 2, 5)])
def test_what_is_no_feature_is_refused(name, shape):
    with pytest.raises(ShapeError, match=r"ft has shape \(.*\), but a feature is \(N, D\), or maps \(N, C, H, W\)"):
        getattr(losses, name)(maps(), np.zeros(shape), *[np.ones((1, 1))] * (2 if name in EXTRA else 0))


EXTRA = ("hint", "cosine", "contrastive")


@pytest.mark.parametrize(("name", "least"), [*((name, 2) for name in (*RELATIONS, "contrastive")), ("rkd_angle", 3)])
def test_a_batch_too_small_to_compare_within_is_refused(name, least):
    with pytest.raises(ShapeError, match=f"fs has a batch of {least - 1}, but .* it needs [23] or more"):
        call(name, maps(least - 1), maps(least - 1, channels=2))


@OF_ROWS
def test_maps_are_flattened_and_the_gradient_takes_their_shape(name):
    fs, ft = maps(), maps(channels=2)
    loss, dfs, *weights = call(name, fs, ft)
    flat, dflat, *others = call(name, fs.reshape(4, -1), ft.reshape(4, -1))
    assert loss == flat
    assert dfs.shape == fs.shape
    np.testing.assert_array_equal(dfs.reshape(4, -1), dflat)
    assert all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


@OF_ROWS
@many
@given(pair=pairs(least=3))
def test_finite_of_one_dtype_and_never_negative_beyond_rounding(name, pair):
    """With zeros, samples alike, and opposite ones."""
    fs, ft = pair
    before = fs.copy(), ft.copy()
    loss, *gradients = call(name, fs, ft)
    assert all(np.isfinite(result).all() for result in (loss, *gradients))
    assert {np.asarray(result).dtype for result in (loss, *gradients)} == {fs.dtype}
    assert loss >= -10 * np.finfo(fs.dtype).eps
    assert np.array_equal(fs, before[0])
    assert np.array_equal(ft, before[1])


@many
@given(pair=pairs(least=3, dtypes=["float64"]))
def test_relations_to_oneself_are_right(pair):
    for name in RELATIONS:
        loss, dfs = getattr(losses, name)(pair[0], pair[0].copy())
        assert abs(loss) < 1e-12
        assert not np.abs(dfs).max() > 1e-5
