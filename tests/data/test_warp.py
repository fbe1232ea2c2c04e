import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from minikd.data.warp import motions, sample, source_points


def moved(images, shift=(0.0, 0.0), angle=0.0, scale=1.0):
    n = len(images)
    motion = motions(np.tile(np.array(shift, np.float32), (n, 1)), np.full(n, np.deg2rad(angle)), np.full(n, scale))
    return sample(images, *source_points(motion, *images.shape[2:]))


def picture(height=5, width=5, channels=1, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (2, channels, height, width)).astype(np.uint8)


@pytest.mark.parametrize(("quarter_turns", "angle"), [(1, 90), (2, 180), (3, 270), (3, -90)])
@pytest.mark.parametrize("size", [5, 6])
def test_quarter_turns_are_rot90(quarter_turns, angle, size):
    images = picture(size, size, channels=3)
    np.testing.assert_allclose(moved(images, angle=angle), np.rot90(images, quarter_turns, axes=(2, 3)), atol=2e-3)


def test_a_bright_pixel_moves_down_and_right():
    images = np.zeros((1, 1, 7, 9), np.uint8)
    images[0, 0, 2, 3] = 200
    expected = np.zeros((1, 1, 7, 9))
    expected[0, 0, 4, 4] = 200
    np.testing.assert_allclose(moved(images, shift=(2, 1)), expected)
    np.testing.assert_allclose(moved(expected.astype(np.uint8), shift=(-2, -1)), images)


def test_half_a_pixel_is_the_mean_of_two():
    images = np.zeros((1, 1, 1, 4), np.uint8)
    images[0, 0, 0, 1] = 100
    np.testing.assert_allclose(moved(images, shift=(0, 0.5))[0, 0, 0], [0, 50, 50, 0])


def test_content_moved_out_is_gone_and_zeros_come_in():
    images = picture()
    np.testing.assert_array_equal(moved(images, shift=(5, 0)), 0)
    np.testing.assert_array_equal(moved(images, shift=(0, -100)), 0)
    np.testing.assert_array_equal(moved(images, shift=(0, 2))[..., :2], 0)


def test_scale_two_keeps_the_centre_and_doubles_distances():
    images = np.zeros((1, 1, 9, 9), np.uint8)
    images[0, 0, 4, 4] = images[0, 0, 4, 6] = 120
    larger = moved(images, scale=2.0)[0, 0]
    assert larger[4, 4] == 120
    assert larger[4, 8] == 120
    assert larger[4, 6] == 0


def test_shift_comes_after_rotation():
    images = np.zeros((1, 1, 7, 7), np.uint8)
    images[0, 0, 3, 5] = 90  # right of the centre; a quarter turn counter-clockwise puts it above: (1, 3)
    turned = moved(images, shift=(1, 0), angle=90)[0, 0]
    assert np.unravel_index(turned.argmax(), (7, 7)) == (2, 3)


@settings(max_examples=40, deadline=None)
@given(
    shift=st.tuples(st.floats(-8, 8), st.floats(-8, 8)),
    angle=st.floats(-180, 180),
    scale=st.floats(0.5, 2),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
)
def test_agrees_with_scipy(shift, angle, scale, height, width, channels):
    images = picture(height, width, channels)
    motion = motions(np.array([shift, (0, 0)], np.float32), np.deg2rad([angle, 0]), np.array([scale, 1.0]))
    y, x = source_points(motion, height, width)
    ours = sample(images, y, x)
    for n in range(2):
        for c in range(channels):
            theirs = ndimage.map_coordinates(
                images[n, c].astype(np.float64), [y[n], x[n]], order=1, mode="grid-constant", prefilter=False
            )
            np.testing.assert_allclose(ours[n, c], theirs, atol=2e-3)


def test_nothing_is_changed_in_place():
    images, points = picture(), np.full((2, 5, 5), 1.5, np.float32)
    before = images.copy(), points.copy()
    sample(images, points, points)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(points, before[1])
