import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikd.errors import ConfigError, ShapeError
from minikd.losses import attention_transfer
from tests.losses.logits import many

RNG = np.random.default_rng(0)
FS, FT = RNG.standard_normal((3, 4, 2, 5)), RNG.standard_normal((3, 6, 2, 5))


def image(*channels):
    return np.array(channels, float)[None, :, None, :]  # (1, C, 1, W)


def test_by_hand():
    """Squares summed over the channels: (3, 4) beside (1, 0). As directions (0.6, 0.8): 0.4² + 0.8² = 0.8."""
    fs, ft = image([1, 0], [-1, 2], [1, 0]), image([5, 0])
    loss, dfs = attention_transfer(fs, ft)
    assert loss == pytest.approx(0.8, rel=1e-14)
    # da = 2 (-0.4, 0.8); its part across (0.6, 0.8) is (-1.28, 0.96), over the length 5, times 2 A.
    np.testing.assert_allclose(dfs, image([-0.512, 0], [0.512, 0.768], [-0.512, 0]), rtol=1e-13)


@many
@given(st.floats(1, 5), st.integers(0, 99))
def test_signs_of_channels_scales_of_samples_and_channels_of_the_teacher_do_not_matter(p, seed):
    rng = np.random.default_rng(seed)
    signs, scales = rng.choice([-1.0, 1.0], (4, 1, 1)), rng.uniform(0.01, 100, (3, 1, 1, 1))
    loss, dfs = attention_transfer(FS, FT, p)
    other, dother = attention_transfer(FS * signs * scales, np.concatenate([FT, -FT], 1), p)
    assert other == pytest.approx(loss, rel=1e-11)
    np.testing.assert_allclose(dother * signs * scales, dfs, rtol=1e-9, atol=1e-12)
    assert abs((dfs * FS).sum((1, 2, 3))).max() < 1e-14


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("p", [1.0, 2.0, 8.0])
def test_no_power_over_or_underflows_in_float32(p, scale):
    wanted, dwanted = attention_transfer(FS, FT, p)
    loss, dfs = attention_transfer((FS * scale).astype(np.float32), (FT * scale).astype(np.float32), p)
    assert loss.dtype == dfs.dtype == np.float32
    assert loss == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(dfs * scale, dwanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_where_a_value_is_zero_the_gradient_is_too(p):
    fs = np.where(FS > 0, FS, 0)
    dfs = attention_transfer(fs, FT, p)[1]
    assert np.isfinite(dfs).all()
    assert not dfs[fs == 0].any()
    assert dfs[fs > 0].all()


def test_a_map_of_zeros_costs_1_and_is_taught_nothing():
    loss, dfs = attention_transfer(0 * FS, FT)
    assert loss == pytest.approx(1, rel=1e-14)
    assert not dfs.any()
    assert attention_transfer(FS, 0 * FT)[0] == pytest.approx(1, rel=1e-14)
    assert attention_transfer(0 * FS, 0 * FT)[0] == 0


def test_without_places_there_is_no_attention_and_the_error_says_what_works():
    for fs, ft in ((FS[:, :, 0, 0], FT), (FS, FT[:, :, 0, 0])):
        with pytest.raises(ShapeError, match=r"needs maps \(N, C, H, W\): a dense layer .* similarity_preserving"):
            attention_transfer(fs, ft)


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(
        ShapeError, match="fs has maps of 2x5, but ft of 5x2; tap layers with the same height and width"
    ):
        attention_transfer(FS, FT.reshape(3, 6, 5, 2))


@pytest.mark.parametrize("p", [0.5, 0.0, -2.0, np.nan, np.inf])
def test_powers_without_a_finite_gradient_are_refused(p):
    with pytest.raises(ConfigError, match=f"p is {p}, but must be at least 1"):
        attention_transfer(FS, FT, p)
