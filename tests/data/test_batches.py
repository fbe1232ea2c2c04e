import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minikd.data import Augmentation, Views, augment, batches, epoch_order, mean_and_std
from minikd.errors import ConfigError, DataError

PIXELS = npst.arrays(np.uint8, st.tuples(st.integers(2, 9), st.sampled_from([1, 3]), st.just(3), st.just(4)))


def views(count=40, channels=3, augmentation=None, dtype=np.float32, **kwargs):
    images = np.random.default_rng(0).integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)
    return Views(images, np.arange(count) % 7, *mean_and_std(images), augmentation, dtype=dtype, **kwargs)


@settings(max_examples=50, deadline=None)
@given(images=PIXELS)
def test_mean_and_std_are_those_of_the_pixels_scaled_to_one(images):
    images[0, :, 0, 0], images[1, :, 0, 0] = 0, 255  # so that no channel is constant
    mean, std = mean_and_std(images)
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 2, 3)), rtol=1e-9)
    assert all(type(value) is float for value in mean + std)
    floats = mean_and_std((images / 255).astype(np.float32))
    np.testing.assert_allclose(floats, (mean, std), rtol=1e-6)


def test_mean_and_std_over_more_than_one_chunk():
    images = np.random.default_rng(0).integers(0, 256, (700, 1, 2, 2), dtype=np.uint8)
    np.testing.assert_allclose(mean_and_std(images)[0], images.mean() / 255, rtol=1e-12)


def test_large_images_of_whole_numbers_are_summed_a_few_at_a_time_to_the_same_bits(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 20, 20), dtype=np.uint8)
    whole = mean_and_std(images)
    monkeypatch.setattr(batches, "CHUNK_NUMBERS", 1)
    assert mean_and_std(images) == whole


def test_the_mean_of_photos_takes_less_memory_than_the_photos():
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 1500, 2000), dtype=np.uint8)
    tracemalloc.start()
    mean_and_std(images)
    assert tracemalloc.get_traced_memory()[1] < 3 * images.nbytes  # as float64 alone they take eight times theirs
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_constant_channel_is_named(dtype):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 2)).astype(np.uint8)
    images[:, 1] = 51
    stored = images if dtype == np.uint8 else (images / 255).astype(np.float32)
    with pytest.raises(DataError, match=r"every pixel of channel 1 is 0.2 \(of 0-1\) in all 5 images; .*check how"):
        mean_and_std(stored)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clean_views_have_mean_0_and_deviation_1(dtype):
    clean = views(dtype=dtype).clean()
    assert clean.dtype == dtype
    assert clean.flags.c_contiguous
    np.testing.assert_allclose(clean.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(clean.std(axis=(0, 2, 3)), 1, atol=1e-6)


def test_float_and_uint8_images_are_normalised_alike():
    of_bytes = views()
    floats = (of_bytes.images / 255).astype(np.float32)
    of_floats = Views(floats, of_bytes.labels, *mean_and_std(floats))
    np.testing.assert_allclose(of_floats.clean(), of_bytes.clean(), atol=1e-5)


def test_a_batch_without_augmentation_is_the_clean_view_of_its_index():
    of = views()
    index = np.array([5, 0, 39])
    batch = of.batch(3, index)
    np.testing.assert_array_equal(batch.images, of.clean()[index])
    np.testing.assert_array_equal(batch.labels, index % 7)
    np.testing.assert_array_equal(batch.index, index)


def test_a_batch_is_the_normalised_augmented_image():
    strengths = Augmentation(shift=1, rotation=20)
    of = views(augmentation=strengths, seed=11)
    index = np.array([4, 17])
    raw = augment(of.images[index], strengths, 11, 2, index) / 255
    expected = (raw - np.reshape(of.mean, (3, 1, 1))) / np.reshape(of.std, (3, 1, 1))
    np.testing.assert_allclose(of.batch(2, index).images, expected, atol=1e-5)
    np.testing.assert_array_equal(of.clean(index), views().clean(index))


def test_batches_are_the_same_in_any_order_and_thread():
    of = views(augmentation=Augmentation(shift=2, rotation=15, scale=0.1, elastic=1.0))
    order = epoch_order(len(of), 7, seed=0, epoch=1)
    in_turn = [of.batch(1, index).images for index in order]
    with ThreadPoolExecutor(3) as pool:
        backwards = list(pool.map(lambda index: of.batch(1, index).images, order[::-1]))[::-1]
    for one, other in zip(in_turn, backwards, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_stored_images_are_not_touched(dtype):
    images = np.random.default_rng(0).random((6, 1, 5, 5)).astype(np.float32)
    images = images if dtype == np.float32 else (images * 255).astype(np.uint8)
    of = Views(images, np.zeros(6, int), (0.4,), (0.3,), Augmentation(shift=2))
    before = of.images.copy()
    of.batch(0, np.arange(5))
    of.clean()
    np.testing.assert_array_equal(of.images, before)


def test_length_and_refusals():
    assert len(views(count=12)) == 12
    images = np.zeros((2, 3, 4, 4), np.uint8)
    with pytest.raises(ConfigError, match=r"3-channel images .* need 3 means .* mean is \(0.5,\) and std \(0.5,\)"):
        Views(images, np.zeros(2, int), (0.5,), (0.5,))
    with pytest.raises(DataError, match="2 images but 3 labels"):
        Views(images, np.zeros(3, int), (0.5,) * 3, (0.5,) * 3)


@settings(deadline=None)
@given(count=st.integers(0, 100), batch_size=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_has_every_sample_once(count, batch_size, seed, epoch):
    order = epoch_order(count, batch_size, seed, epoch)
    sizes = [len(index) for index in order]
    assert all(size == batch_size for size in sizes[:-1])
    assert sum(sizes) == count
    assert not sizes or 0 < sizes[-1] <= batch_size
    np.testing.assert_array_equal(np.sort(np.concatenate([*order, []])), np.arange(count))


def test_the_order_repeats_and_differs_by_seed_and_epoch():
    def flat(seed, epoch):
        return np.concatenate(epoch_order(200, 32, seed, epoch))

    np.testing.assert_array_equal(flat(0, 5), flat(0, 5))
    assert not np.array_equal(flat(0, 5), flat(0, 6))
    assert not np.array_equal(flat(0, 5), flat(1, 5))
    assert not np.array_equal(flat(0, 5), np.arange(200))


@pytest.mark.parametrize("batch_size", [0, -3])
def test_refuses_a_batch_size_below_one(batch_size):
    with pytest.raises(ConfigError, match=f"batch_size is {batch_size}, but must be at least 1"):
        epoch_order(10, batch_size, 0, 0)
