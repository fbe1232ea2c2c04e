import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.nn import conv, windows
from tests.nn import naive

# x's shape, (O, C/groups, R, S), stride, padding, dilation, groups: all uneven
CASES = {
    "plain": ((2, 3, 4, 5), (2, 3, 3, 2), (1, 1), (0, 0), (1, 1), 1),
    "one channel": ((2, 1, 7, 6), (3, 1, 3, 2), (2, 1), (1, 2), (1, 2), 1),
    "three channels": ((2, 3, 7, 6), (2, 3, 3, 2), (2, 1), (1, 2), (1, 1), 1),
    "dilated": ((2, 2, 8, 7), (3, 2, 3, 2), (2, 1), (1, 0), (2, 3), 1),
    "grouped": ((3, 4, 6, 5), (6, 2, 2, 3), (1, 2), (0, 1), (2, 1), 2),
    "depthwise": ((2, 3, 5, 6), (6, 1, 3, 2), (2, 1), (1, 1), (1, 2), 3),
    "stride beyond the kernel": ((2, 2, 9, 8), (2, 2, 2, 1), (4, 3), (0, 1), (1, 1), 1),
    "kernel as large as the image": ((3, 2, 4, 3), (2, 2, 4, 3), (1, 1), (0, 0), (1, 1), 1),
    "padding beyond the kernel": ((1, 2, 2, 3), (2, 2, 2, 1), (1, 2), (3, 2), (1, 1), 1),
    "stride 1, as padded as can be convolved back": ((2, 3, 4, 5), (2, 3, 3, 2), (1, 1), (4, 2), (2, 2), 1),
    "stride 1, padded beyond": ((2, 3, 4, 5), (2, 3, 3, 2), (1, 1), (1, 3), (1, 2), 1),
    "stride 1, dilated and grouped": ((2, 4, 7, 6), (6, 2, 3, 2), (1, 1), (1, 0), (2, 3), 2),
    "1x1": ((2, 3, 4, 5), (2, 3, 1, 1), (3, 2), (0, 0), (1, 1), 1),
}


def arrays(x_shape, w_shape, dtype="float64"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape, w_shape[:1])]


def both_passes(x, w, b, *moves):
    y, cache = conv.conv2d(x, w, b, *moves)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    return y, dy, *conv.conv2d_backward(dy, cache)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_both_passes_are_the_seven_loops(case):
    x_shape, w_shape, *moves = case
    x, w, b = arrays(x_shape, w_shape)
    y, dy, *gradients = both_passes(x, w, b, *moves)
    assert y.shape == (len(x), len(w), *naive.outputs(x_shape, w_shape[2:], *moves[:3]))
    np.testing.assert_allclose(y, naive.conv2d(x, w, b, *moves), rtol=1e-12, atol=1e-12)
    for found, wanted in zip(gradients, naive.conv2d_backward(dy, x, w, *moves), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [CASES["one channel"], CASES["three channels"], CASES["grouped"]])
@pytest.mark.parametrize("images_a_piece", [1, 2, 3])
def test_pieces_add_up_to_the_whole(case, images_a_piece, monkeypatch):
    (_, *image), w_shape, *moves = case
    x, w, b = arrays((5, *image), w_shape)
    whole = both_passes(x, w, b, *moves)
    a_piece = images_a_piece * int(np.prod(whole[0].shape[2:])) * w[0].nbytes
    monkeypatch.setattr(windows, "PIECE_BYTES", dict.fromkeys(windows.PIECE_BYTES, a_piece))
    for found, wanted in zip(both_passes(x, w, b, *moves), whole, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("channels", [1, 3])
def test_pieces_are_the_windows_and_none_holds_more_than_its_share_of_memory(channels, monkeypatch):
    x, *_ = arrays((9, channels, 8, 8), (2, channels, 3, 3))
    padded = windows.pad(x, (0, 0))
    monkeypatch.setattr(windows, "PIECE_BYTES", dict.fromkeys(windows.PIECE_BYTES, 2 * 36 * 9 * channels * 8 + 8))
    pieces = list(windows.pieces(padded, (3, 3), windows.Steps((1, 1), (0, 0), (1, 1)), (6, 6)))
    assert [(rows.start, rows.stop, cols.shape) for rows, cols in pieces] == [
        (72 * k, min(324, 72 * (k + 1)), (min(72, 324 - 72 * k), 9 * channels)) for k in range(5)
    ]
    assert (np.concatenate([cols for _, cols in pieces])[50] == x[1, :, 2:5, 2:5].transpose(1, 2, 0).ravel()).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_float32_loses_no_more_than_rounding(channels):
    x, w, b = arrays((2, channels, 6, 5), (4, channels, 3, 2), "float32")
    single = both_passes(x, w, b, (2, 1), (1, 2))
    double = both_passes(*(a.astype("float64") for a in (x, w, b)), (2, 1), (1, 2))
    for found, wanted in zip(single, double, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_padding_is_zero_and_the_bias_reaches_every_output():
    y, _ = conv.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), np.array([10.0]), padding=(2, 2))
    assert y[0, 0].tolist() == [[11, 12, 12, 11], [12, 14, 14, 12], [12, 14, 14, 12], [11, 12, 12, 11]]


def test_a_kernel_lies_as_it_is_written():
    """Cross-correlation: kernel [1, 2] reads left then right. A flipped kernel would give [4, 7]."""
    y, _ = conv.conv2d(np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[1.0, 2.0]]]]), np.zeros(1))
    assert y.tolist() == [[[[5, 8]]]]


def test_output_shape_and_multiply_adds_of_a_known_layer():
    layer = nn.Conv2d(4, 6, (3, 2), np.random.default_rng(0), (2, 1), (1, 2), groups=2)
    assert layer.output_shape((4, 7, 6)) == (6, 4, 9)
    assert layer.macs((4, 7, 6)) == 6 * 4 * 9 * (2 * 3 * 2)
    assert layer.size == 6 * 2 * 3 * 2 + 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 2}, "in_channels=3.*groups=2.*must divide"),
        ({"out_channels": 0}, "out_channels is 0.*at least 1"),
        ({"kernel_size": 0}, "kernel_size is 0.*whole number >= 1"),
        ({"kernel_size": (3, 2, 1)}, r"kernel_size is \(3, 2, 1\).*two of them"),
        ({"kernel_size": 2.5}, r"kernel_size is 2\.5"),
        ({"stride": (1, 0)}, r"stride is \(1, 0\)"),
        ({"padding": -1}, "padding is -1.*>= 0"),
        ({"dilation": 0}, "dilation is 0"),
        ({"init": "xavier"}, "init is 'xavier'.*'he'.*'glorot'"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_value(arguments, message):
    settings = {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "rng": np.random.default_rng(0)}
    with pytest.raises(ConfigError, match=message):
        nn.Conv2d(**settings | arguments)


def test_sizes_computed_with_numpy_are_as_good_as_others():
    layer = nn.Conv2d(1, 2, np.int64(3), np.random.default_rng(0), padding=(np.int32(1), 0))
    assert layer.kernel_size == (3, 3)
    assert layer.output_shape((1, 5, 5)) == (2, 5, 3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 5, 5), r"x has shape \(2, 3, 5, 5\), but must be \(N, 4, H, W\)"),
        ((4, 5, 5), r"x has shape \(4, 5, 5\), but must be \(N, 4, H, W\)"),
        ((2, 4, 2, 5), "window of 3x3 .* does not fit into an image of 2x5.*use larger images"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, message):
    layer = nn.Conv2d(4, 2, 3, np.random.default_rng(0))
    with pytest.raises(ShapeError, match=message):
        layer.forward(np.zeros(shape, np.float32))


def test_the_shape_of_a_sample_is_checked_as_that_of_a_batch():
    with pytest.raises(ShapeError, match=r"samples of shape \(4, H, W\), but gets \(3, 5, 5\)"):
        nn.Conv2d(4, 2, 3, np.random.default_rng(0)).output_shape((3, 5, 5))


def test_an_image_of_another_dtype_is_refused_with_the_fix():
    layer = nn.Conv2d(1, 2, 3, np.random.default_rng(0))
    with pytest.raises(DtypeError, match=r"x is uint8, but the parameters are float32; use x\.astype\('float32'\)"):
        layer.forward(np.zeros((1, 1, 5, 5), np.uint8))
