import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.nn import pooling
from tests.nn import naive

# kernel, stride, padding
CASES = {
    "tiles": ((2, 3), (2, 3), (0, 0)),
    "overlapping": ((3, 2), (1, 1), (0, 0)),
    "overlapping, padded": ((3, 4), (2, 1), (1, 2)),
    "gaps": ((2, 1), (3, 2), (0, 0)),
    "gaps, padded": ((2, 2), (3, 4), (1, 1)),
    "wider than high": ((1, 5), (1, 2), (0, 1)),
    "1x1": ((1, 1), (1, 1), (0, 0)),
}


def upstream(shape, windows):
    return np.random.default_rng(1).standard_normal((*shape[:2], *naive.outputs(shape, *windows)))


@pytest.mark.parametrize("levels", [3, 1000], ids=["many ties", "no ties"])
@pytest.mark.parametrize("windows", CASES.values(), ids=CASES)
def test_max_pooling_is_the_loop_over_windows(windows, levels):
    x = np.random.default_rng(0).integers(-levels, levels, (2, 3, 7, 8)) / 7.0
    y, cache = pooling.max_pool2d(x, *windows)
    dy = upstream(x.shape, windows)
    wanted, dwanted = naive.max_pool2d(x, dy, *windows)
    assert np.array_equal(y, wanted)
    np.testing.assert_allclose(pooling.max_pool2d_backward(dy, cache), dwanted, rtol=1e-13)


@pytest.mark.parametrize("windows", CASES.values(), ids=CASES)
def test_average_pooling_is_the_loop_over_windows(windows):
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 8))
    y, cache = pooling.avg_pool2d(x, *windows)
    dy = upstream(x.shape, windows)
    wanted, dwanted = naive.avg_pool2d(x, dy, *windows)
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(pooling.avg_pool2d_backward(dy, cache), dwanted, rtol=1e-12, atol=1e-15)


def routed(x, dy, kernel, stride=None):
    layer = nn.MaxPool2d(kernel, stride)
    return layer.backward(np.array([[dy]], float), layer.forward(np.array([[x]], float))[1])[0][0, 0].tolist()


@pytest.mark.parametrize(
    ("window", "route"),
    [
        ([[0, 0], [0, 0]], [[1, 0], [0, 0]]),
        ([[0, 5], [5, 0]], [[0, 1], [0, 0]]),
        ([[5, 0], [0, 5]], [[1, 0], [0, 0]]),
        ([[0, 0], [5, 5]], [[0, 0], [1, 0]]),
        ([[0, 5], [0, 5]], [[0, 1], [0, 0]]),
        ([[-2, -1], [-1, -2]], [[0, 1], [0, 0]]),
    ],
)
def test_a_tie_goes_to_the_first_in_row_order(window, route):
    """In columns the other diagonal [[0, 5], [5, 0]] would have gone to the lower left."""
    assert routed(window, [[1]], 2) == route


def test_windows_that_share_their_winner_add_their_gradients():
    assert routed([[1, 9, 1], [1, 1, 1], [1, 1, 2]], [[1, 2], [4, 8]], 2, 1) == [[0, 3, 0], [4, 0, 0], [0, 0, 8]]


def test_pixels_between_the_windows_get_nothing():
    assert routed([[9, 1, 5], [1, 1, 1]], [[1]], (1, 1), (2, 3)) == [[1, 0, 0], [0, 0, 0]]


def test_padding_never_wins_not_even_below_zero():
    y, cache = pooling.max_pool2d(np.full((1, 1, 2, 2), -7.0), (2, 2), (2, 2), (1, 1))
    assert np.array_equal(y, np.full((1, 1, 2, 2), -7.0))
    assert np.array_equal(pooling.max_pool2d_backward(np.ones((1, 1, 2, 2)), cache), np.ones((1, 1, 2, 2)))


@pytest.mark.parametrize("share", [0.5, 1.0], ids=["half", "all"])
@pytest.mark.parametrize("windows", CASES.values(), ids=CASES)
def test_pixels_at_minus_infinity_get_their_gradient_and_padding_none(windows, share):
    draw = np.random.default_rng(0)
    x = np.where(draw.random((2, 3, 7, 8)) < share, -np.inf, draw.standard_normal((2, 3, 7, 8)))
    y, cache = pooling.max_pool2d(x, *windows)
    dy = upstream(x.shape, windows)
    wanted, dwanted = naive.max_pool2d(x, dy, *windows)
    assert np.array_equal(y, wanted)
    dx = pooling.max_pool2d_backward(dy, cache)
    np.testing.assert_allclose(dx, dwanted, rtol=1e-13)
    assert dx.sum() == pytest.approx(dy.sum())


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_nan_is_passed_on_from_any_place_of_the_window(place):
    x = np.ones((1, 1, 2, 4), np.float32)
    x[0, 0][place] = np.nan
    for pool in (nn.MaxPool2d(2), nn.AvgPool2d(2)):
        y, _ = pool.forward(x)
        assert np.isnan(y[0, 0, 0, 0])
        assert y[0, 0, 0, 1] == 1


def test_a_window_of_more_than_256_columns_still_finds_its_winner():
    x = np.zeros((1, 1, 1, 300))
    x[..., 290] = 1
    y, cache = pooling.max_pool2d(x, (1, 300), (1, 1))
    assert y.item() == 1
    assert np.array_equal(pooling.max_pool2d_backward(np.full((1, 1, 1, 1), 3.0), cache), 3 * x)


def test_global_pooling_is_the_mean_and_shares_its_gradient():
    x = np.arange(24.0).reshape(2, 2, 2, 3)
    y, cache = pooling.global_avg_pool2d(x)
    assert y.ravel().tolist() == [2.5, 8.5, 14.5, 20.5]
    assert y.shape == (2, 2, 1, 1)
    dx = pooling.global_avg_pool2d_backward(6 * y, cache)
    assert np.array_equal(dx, np.broadcast_to(y, x.shape))


def test_a_1x1_window_gives_an_array_of_its_own():
    x = np.zeros((1, 1, 2, 2))
    for pool in (nn.MaxPool2d(1), nn.AvgPool2d(1)):
        assert not np.shares_memory(pool.forward(x)[0], x)


def test_the_stride_is_the_kernel_where_none_is_given():
    assert nn.MaxPool2d((3, 2)).output_shape((5, 9, 8)) == (5, 3, 4)
    assert nn.AvgPool2d((3, 2), 1).output_shape((5, 9, 8)) == (5, 7, 7)
    assert nn.GlobalAvgPool2d().output_shape((5, 9, 8)) == (5, 1, 1)


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "kernel_size is 0"),
        ((2, 0), "stride is 0"),
        ((2, 1, -1), "padding is -1"),
        ((3, 1, 2), r"padding is \(2, 2\), but must be at most half of the kernel \(3, 3\)"),
    ],
)
def test_windows_that_cannot_be_are_refused(pool, arguments, message):
    with pytest.raises(ConfigError, match=f"{pool.__name__}'s {message}"):
        pool(*arguments)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3), nn.AvgPool2d(3)])
def test_images_that_do_not_fit_are_refused(pool):
    with pytest.raises(ShapeError, match=r"x has shape \(2, 9\), but must be \(N, C, H, W\)"):
        pool.forward(np.zeros((2, 9), np.float32))
    with pytest.raises(ShapeError, match=r"window of 3x3 .* image of 2x9"):
        pool.forward(np.zeros((1, 1, 2, 9), np.float32))
    with pytest.raises(ShapeError, match=r"samples of shape \(C, H, W\), but gets \(9,\)"):
        pool.output_shape((9,))


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.GlobalAvgPool2d()])
def test_raw_pixels_are_refused(pool):
    """A sum of four uint8 would wrap around at 256, silently."""
    with pytest.raises(DtypeError, match=r"x is uint8.*astype\('float32'\)"):
        pool.forward(np.full((1, 1, 4, 4), 200, np.uint8))
