"""The arithmetic of whole numbers: rounding, saturation, and sums that are exact in any order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd.errors import DtypeError, ShapeError
from minikd.exports.integer import EXACT, Weighted, integer_logits, requantize
from minikd.exports.quantize import quantize
from tests.exports import naive, networks

pytestmark = pytest.mark.numpy_only("exports work on the host")


def whole(seed):
    """Return a random network in whole numbers, and its data."""
    rng = np.random.default_rng(seed)
    data = networks.pictures((3, 9, 8), 5, seed=seed)
    model = networks.shaken(networks.at_random(rng, whole=True), seed)
    return quantize(model, networks.card_of(data), data.train_images), data


@pytest.mark.parametrize("shift", [0, 1, 2, 7, 12, 23, 24])
def test_requantising_rounds_half_to_even_and_saturates(shift):
    near = np.arange(-3, 4)
    steps = np.arange(0, 300)[:, None] * 2**shift + near
    halves = np.arange(0, 300)[:, None] * 2**shift + 2**shift // 2 + near
    sums = np.unique(np.concatenate([steps, halves, -steps], None))
    sums = sums[np.abs(sums) < EXACT].astype(np.int32)
    right = np.clip(np.rint(sums / 2**shift), 0, 255)
    assert np.array_equal(requantize(sums, np.array(shift)), right)
    half_up = np.clip(np.floor(sums / 2**shift + 0.5), 0, 255)
    assert shift in (0, 23, 24) or not np.array_equal(
        half_up, right
    )  # the rows hold ties, so the other rule would show


def test_requantising_divides_once():
    """Two roundings, first by 2^4 and then by 2^4, are not one by 2^8."""
    sums = np.arange(2**16, dtype=np.int32)
    twice = np.rint(np.rint(sums / 16) / 16)
    assert not np.array_equal(np.minimum(twice, 255), requantize(sums, np.array(8)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_float32_products_give_the_integers_of_the_definition(seed):
    model, data = whole(seed)
    pixels = data.test_images[:3]
    assert np.array_equal(integer_logits(model, pixels), naive.logits(model, pixels))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_no_sum_of_any_order_reaches_two_to_the_24(seed):
    model, _ = whole(seed)
    for layer in model.layers:
        if isinstance(layer, Weighted):
            rows = np.abs(layer.weight.reshape(len(layer.weight), -1).astype(np.int64))
            assert (np.abs(layer.bias.astype(np.int64)) + 255 * rows.sum(1)).max() < EXACT
            assert layer.weight.min() >= -127
            assert layer.shift is None or (layer.shift.min() >= 0 and layer.shift.max() <= 24)


def test_images_are_answered_one_by_one_as_all_together():
    model, data = whole(0)
    many = np.concatenate([data.test_images] * 6)
    alone = [integer_logits(model, image[None])[0] for image in data.test_images]
    assert np.array_equal(integer_logits(model, many), alone * 6)
    assert integer_logits(model, many[:0]).shape == (0, 5)


def test_normalised_pixels_are_refused():
    model, data = whole(0)
    with pytest.raises(DtypeError, match="raw pixels, uint8 in 0-255, but got float32; do not normalise"):
        integer_logits(model, data.test_images.astype(np.float32))


def test_images_of_another_shape_are_refused():
    model, data = whole(0)
    with pytest.raises(ShapeError, match=r"images \(3, 9, 8\) got \(40, 3, 9, 7\)"):
        integer_logits(model, data.test_images[..., :7])
