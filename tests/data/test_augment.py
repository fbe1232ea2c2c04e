from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd.data import Augmentation, augment
from minikd.data.augment import displacements, motion, smoothing
from minikd.data.draws import keys
from minikd.data.warp import sample, source_points
from minikd.errors import ConfigError, ShapeError

ALL = Augmentation(shift=2, rotation=15, scale=0.1, elastic=1.0)
EACH = [Augmentation(shift=2), Augmentation(rotation=15), Augmentation(scale=0.2), Augmentation(elastic=1.5), ALL]


def pictures(count=8, channels=1, height=9, width=7, dtype=np.uint8):
    images = np.random.default_rng(0).integers(0, 256, (count, channels, height, width))
    return images.astype(np.uint8) if dtype == np.uint8 else (images / 255).astype(dtype)


@settings(max_examples=25, deadline=None)
@given(
    epoch=st.integers(0, 1000),
    seed=st.integers(0, 1000),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_without_strength_nothing_changes(epoch, seed, channels, dtype):
    images = pictures(channels=channels, dtype=dtype)
    views = augment(images, Augmentation(), seed, epoch, np.arange(8))
    assert views.dtype == np.float32
    np.testing.assert_array_equal(views, images)


@pytest.mark.parametrize("augmentation", EACH, ids=str)
def test_a_view_depends_on_seed_epoch_and_number_alone(augmentation):
    images = pictures(64, height=28, width=28)
    index = np.random.default_rng(1).permutation(5000)[:64]
    together = augment(images, augmentation, 7, 3, index)
    shuffle = np.random.default_rng(2).permutation(64)
    np.testing.assert_array_equal(augment(images[shuffle], augmentation, 7, 3, index[shuffle]), together[shuffle])
    for start in range(0, 64, 13):
        part = slice(start, start + 13)
        np.testing.assert_array_equal(augment(images[part], augmentation, 7, 3, index[part]), together[part])
    np.testing.assert_array_equal(augment(images[5:6], augmentation, 7, 3, index[5:6]), together[5:6])


@pytest.mark.parametrize("augmentation", EACH, ids=str)
def test_seed_epoch_and_number_each_matter(augmentation):
    images = np.repeat(pictures(1, height=12, width=12), 4, axis=0)
    index = np.arange(4)
    views = augment(images, augmentation, 0, 0, index)
    others = [augment(images, augmentation, 1, 0, index), augment(images, augmentation, 0, 1, index)]
    for i in range(4):
        assert not any(np.array_equal(views[i], other[i]) for other in others)
        assert not any(np.array_equal(views[i], views[j]) for j in range(i))


def test_threads_see_the_same_views():
    images, index = pictures(256, height=28, width=28), np.arange(256)
    alone = augment(images, ALL, 0, 0, index)
    parts = [slice(start, start + 16) for start in range(0, 256, 16)]
    with ThreadPoolExecutor(4) as pool:
        views = list(pool.map(lambda part: augment(images[part], ALL, 0, 0, index[part]), parts))
    np.testing.assert_array_equal(np.concatenate(views), alone)


def test_images_stay_as_they_are():
    images = pictures()
    before = images.copy()
    augment(images, ALL, 0, 0, np.arange(8))
    np.testing.assert_array_equal(images, before)


def test_channels_move_together():
    grey = pictures(6, height=10, width=10)
    colour = np.repeat(grey, 3, axis=1)
    views = augment(colour, ALL, 0, 0, np.arange(6))
    for channel in range(3):
        np.testing.assert_array_equal(views[:, channel : channel + 1], augment(grey, ALL, 0, 0, np.arange(6)))


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_shifts_are_uniform_both_ways_and_independent(strength):
    images = np.zeros((4000, 1, 11, 11), np.uint8)
    images[:, 0, 5, 5] = 200
    views = augment(images, Augmentation(shift=strength), 0, 0, np.arange(4000))
    weight = views[:, 0] / views[:, 0].sum(axis=(1, 2), keepdims=True)
    down = (weight.sum(2) * np.arange(11)).sum(1) - 5  # the centre of mass: the shift itself, by linearity
    right = (weight.sum(1) * np.arange(11)).sum(1) - 5
    for moved in (down, right):
        assert abs(moved).max() <= strength + 1e-4
        assert abs(moved.mean()) < 4 * strength / np.sqrt(3 * 4000)
        assert moved.std() == pytest.approx(strength / np.sqrt(3), rel=0.05)
    assert abs(np.corrcoef(down, right)[0, 1]) < 4 / np.sqrt(4000)


def test_rotation_and_scale_reach_their_bounds_and_not_beyond():
    key = keys(0, 0, 1)[0]
    for augmentation in (Augmentation(rotation=30), Augmentation(scale=0.25)):
        y, x = source_points(motion(augmentation, key, np.arange(2000)), 21, 21)
        step_down, step_right = y[:, 1, 0] - y[:, 0, 0], x[:, 1, 0] - x[:, 0, 0]  # cos / scale and -sin / scale
        angle = np.rad2deg(np.arctan2(-step_right, step_down))
        scale = 1 / np.hypot(step_down, step_right)
        for value, middle, bound in ((angle, 0, augmentation.rotation), (scale, 1, augmentation.scale)):
            assert abs(value - middle).max() <= bound + 1e-3
            assert abs(value - middle).max() >= 0.98 * bound
            assert abs(value.mean() - middle) <= 0.06 * bound + 1e-5


def test_shift_rotation_and_scale_are_drawn_apart():
    drawn = motion(Augmentation(shift=3, rotation=30, scale=0.25), keys(0, 0, 1)[0], np.arange(4000))
    y, x = source_points(drawn, 3, 3)
    cos, sin = y[:, 1, 1] - y[:, 0, 1], y[:, 1, 1] - y[:, 1, 0]  # both over the scale
    down, right = 1 - y[:, 1, 1], 1 - x[:, 1, 1]  # what the centre looks at is the shift, turned and scaled
    length = np.hypot(cos, sin)
    drawn = [np.hypot(down, right) / length, np.arctan2(sin, cos), length]
    for i in range(3):
        for j in range(i):
            assert abs(np.corrcoef(drawn[i], drawn[j])[0, 1]) < 0.07
    shifts = np.stack([down * cos + right * -sin, down * sin + right * cos])
    assert abs(np.corrcoef(abs(shifts[0]), drawn[1])[0, 1]) < 0.07
    np.testing.assert_allclose(np.corrcoef(np.arctan2(sin, cos), np.sign(shifts))[0, 1:], 0, atol=0.07)


def test_an_elastic_view_reads_each_pixel_at_its_displaced_place():
    images, index, elastic = pictures(3), np.array([4, 8, 2]), Augmentation(elastic=1.2, elastic_smoothing=2.0)
    rows, columns = smoothing(9, 2.0), smoothing(7, 2.0)
    dy, dx = displacements(1.2, keys(5, 6, 2)[1], index, rows, columns)
    y, x = np.meshgrid(np.arange(9), np.arange(7), indexing="ij")
    expected = sample(images, (y + dy).astype(np.float32), (x + dx).astype(np.float32))
    np.testing.assert_allclose(augment(images, elastic, 5, 6, index), expected, atol=1e-3)


@pytest.mark.parametrize("deviation", [1.0, 4.0])
def test_elastic_displacements_have_the_asked_size_everywhere(deviation):
    rows, columns = smoothing(20, deviation), smoothing(16, deviation)
    dy, dx = displacements(1.5, np.uint64(9), np.arange(3000), rows, columns)
    for field in (dy, dx):
        assert field.shape == (3000, 20, 16)
        np.testing.assert_allclose(np.sqrt((field**2).mean(0)), 1.5, rtol=0.1)
        np.testing.assert_allclose(field.mean(0), 0, atol=0.15)
    assert abs((dy * dx).mean()) < 0.05


def test_elastic_displacements_are_smooth_as_asked():
    def roughness(deviation):
        matrix = smoothing(28, deviation)
        dy, _ = displacements(1.0, np.uint64(9), np.arange(200), matrix, matrix)
        return np.sqrt(np.mean(np.diff(dy, axis=1)[:, 8:-8] ** 2))

    # the slope of white noise under a Gaussian of this deviation is 1 / (deviation √2) of its size
    assert roughness(4.0) == pytest.approx(1 / (4 * np.sqrt(2)), rel=0.1)
    assert roughness(2.0) == pytest.approx(1 / (2 * np.sqrt(2)), rel=0.1)


def test_smoothing_is_scipys_gaussian():
    from scipy.ndimage import gaussian_filter1d

    line = np.random.default_rng(0).standard_normal(24)
    matrix = smoothing(24, 2.0)
    expected = gaussian_filter1d(line, 2.0)
    ours = matrix @ line
    middle = slice(10, 14)  # where every row was divided by the same length
    np.testing.assert_allclose(ours[middle] / expected[middle], (ours / expected)[12], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shift": -1}, "augmentation shift is -1, but must be a number from 0"),
        ({"rotation": float("nan")}, "augmentation rotation is nan"),
        ({"elastic": float("inf")}, "augmentation elastic is inf"),
        ({"scale": 1.0}, "augmentation scale is 1.0, but must be below 1: 0.1 scales"),
        ({"elastic_smoothing": 0}, "elastic_smoothing is 0, but must be above 0 pixels; set elastic=0"),
    ],
)
def test_refuses_impossible_strengths(values, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation(**values)


def test_refuses_numbers_that_do_not_match():
    with pytest.raises(ShapeError, match="8 images but 3 sample numbers"):
        augment(pictures(), ALL, 0, 0, np.arange(3))
