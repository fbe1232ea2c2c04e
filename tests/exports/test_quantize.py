"""From floats to whole numbers: scales, the first layer's pixels, the border, batch norm, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from minikd import nn
from minikd.data import Views
from minikd.errors import ConfigError, DtypeError
from minikd.exports import calibration
from minikd.exports.integer import EXACT, QuantizedConv2d, integer_logits
from minikd.exports.quantize import quantize
from minikd.nn.folding import folded
from tests import problems
from tests.exports import networks

pytestmark = pytest.mark.numpy_only("exports work on the host")

RNG = np.random.default_rng(0)


def float_logits(model, card, pixels):
    return model(Views(pixels, np.zeros(len(pixels), int), card.mean, card.std).clean())


def whole_logits(model, card, data, pixels, **changes):
    whole = quantize(model, replace(card, **changes), data.train_images)
    return np.ldexp(integer_logits(whole, pixels).astype(float), -whole.logit_bits)


def far(model, card, data, **changes):
    """Return the largest difference of the whole numbers' logits from the floats', as a share of the largest logit."""
    right = float_logits(model, card, data.test_images)
    return np.abs(whole_logits(model, card, data, data.test_images, **changes) - right).max() / np.abs(right).max()


@pytest.mark.parametrize("name", list(networks.in_whole_numbers(RNG)))
@pytest.mark.parametrize("seed", range(3))
def test_whole_numbers_stay_near_the_floats(name, seed):
    rng = np.random.default_rng(seed)
    data = networks.pictures((3, 9, 8), 5, seed=seed)
    model = networks.shaken(networks.in_whole_numbers(rng)[name], seed)
    assert far(model, networks.card_of(data), data) < 0.08


def test_normalisation_forgotten_or_doubled_is_far_off():
    data = problems.dataset()
    model, card = problems.mlp(), networks.card_of(data)
    assert far(model, card, data) < 0.03
    assert far(model, card, data, mean=(0.0,), std=(1.0,)) > 0.3
    twice = tuple(m + s * m for m, s in zip(card.mean, card.std, strict=True)), (card.std[0] ** 2,)
    assert far(model, card, data, mean=twice[0], std=twice[1]) > 0.3


def conv_on_pixels(groups=1):
    rng = np.random.default_rng(1)
    return nn.Sequential(
        *(nn.Conv2d(3, 3, 3, rng, padding=1, groups=groups), nn.ReLU()), *(nn.Flatten(), nn.Linear(3 * 9 * 8, 5, rng))
    )


@pytest.mark.parametrize("groups", [1, 3])
def test_the_border_is_the_mean_pixel_of_each_channel_and_not_black(groups):
    data = networks.pictures((3, 9, 8), 5)
    card = replace(networks.card_of(data), mean=(0.1307, 0.5, 0.902), std=(0.3, 0.2, 0.25))
    model = conv_on_pixels(groups)
    whole = quantize(model, card, data.train_images)
    first = whole.layers[0]
    assert first.border.tolist() == [33, 128, 230]  # 255·mean is 33.3, 127.5 and 230.01
    right = float_logits(model, card, data.test_images)

    def difference(border):
        planted = replace(whole, layers=(replace(first, border=np.array(border, np.uint8)), *whole.layers[1:]))
        found = np.ldexp(integer_logits(planted, data.test_images).astype(float), -whole.logit_bits)
        return np.abs(found - right).max() / np.abs(right).max()

    assert difference(first.border) < 0.06
    assert difference([0, 0, 0]) > 2 * difference(first.border)  # black is not what the network pads with


def test_behind_a_relu_the_border_is_zero():
    data = networks.pictures((3, 9, 8), 5)
    model = networks.in_whole_numbers(np.random.default_rng(0))["conv"]
    convs = [one for one in quantize(model, networks.card_of(data), data.train_images).layers if hasattr(one, "border")]
    assert [isinstance(one, QuantizedConv2d) for one in convs] == [True, True]
    assert not convs[1].border.any()


def test_a_weight_is_never_minus_128():
    data = problems.dataset()
    model = problems.mlp()
    for layer in (model.layers[1], model.layers[3]):
        weight = layer.params["weight"]
        weight[...] = np.clip(weight, -0.01, 0.01)
        weight[:, 0] = -1.0  # of which 128 steps would be -128, with no +128 beside it
    whole = quantize(model, networks.card_of(data), data.train_images)
    assert min(whole.layers[1].weight.min(), whole.layers[2].weight.min()) in range(-127, -62)


def test_large_sums_take_a_coarser_scale_so_that_they_stay_exact():
    rng = np.random.default_rng(0)
    data = networks.pictures((1, 30, 30), 5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(900, 5, rng))
    weight = model.layers[1].params["weight"]
    weight[...] = rng.uniform(0.9, 1, weight.shape) * rng.choice([-1, 1], weight.shape)  # 900·127·255 is beyond 2^24
    model.layers[1].params["bias"][...] = 3.0
    card = networks.card_of(data)
    whole = quantize(model, card, data.train_images)
    (layer,) = whole.layers[1:]
    assert np.abs(layer.weight).max() < 64
    assert (np.abs(layer.bias) + 255 * np.abs(layer.weight.astype(int)).sum(1)).max() < EXACT
    assert far(model, card, data) < 0.03


def test_a_channel_of_zeros_and_one_that_never_fires_have_a_scale():
    data = problems.dataset()
    model, card = problems.mlp(), networks.card_of(data)
    first = model.layers[1].params
    first["weight"][0], first["bias"][0] = 0, 0.5  # constant
    first["weight"][1], first["bias"][1] = 0, -100  # never above 0
    first["weight"][2], first["bias"][2] = 0, 0
    assert far(model, card, data) < 0.03


def test_a_network_whose_every_unit_is_silent_answers_with_its_bias():
    data = problems.dataset()
    model, card = problems.mlp(), networks.card_of(data)
    model.layers[1].params["bias"][...] = -1000
    model.layers[3].params["bias"][...] = (0.5, -0.25, 2)
    found = whole_logits(model, card, data, data.test_images)
    assert np.allclose(found, (0.5, -0.25, 2), atol=1e-3)


def test_weights_of_any_size_are_followed():
    data = problems.dataset()
    for size in (1e-6, 1e4):
        model, card = problems.mlp(), networks.card_of(data)
        model.vector *= size
        assert far(model, card, data) < 0.03


def test_a_byte_is_no_finer_than_the_sums_it_comes_from():
    """A rescale by a shift alone cannot multiply: where a factor above 1 would be needed, the scale gives way."""
    data = problems.dataset()
    data.train_images[..., 1] = data.train_images[..., 0]
    model, card = problems.mlp(), networks.card_of(data)
    first = model.layers[1].params
    first["weight"][...] = 0
    first["weight"][:, :2] = 1e3, -1e3  # coarse, and of pixels that cancel
    first["bias"][...] = 0.01
    assert calibration.by_maximum(first["bias"]) > 8 + np.floor(np.log2(127 / 1e4))
    layer = quantize(model, card, data.train_images).layers[1]
    assert layer.shift.tolist() == [0] * 8


@pytest.mark.parametrize("seed", range(3))
def test_batch_norm_gives_the_same_numbers_folded_before_or_by_the_export(seed):
    rng = np.random.default_rng(seed)
    data = problems.dataset()
    model = nn.Sequential(
        *(nn.Flatten(), nn.Linear(36, 8, rng), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3, rng), nn.BatchNorm1d(3))
    )
    model, card = networks.shaken(model, seed), networks.card_of(data)
    pixels = data.test_images
    before, by_export = (whole_logits(one, card, data, pixels) for one in (folded(model), model))
    assert np.abs(before - by_export).max() < 0.01 * np.abs(by_export).max()
    assert far(model, card, data) < 0.06


def test_batch_norm_behind_a_pooling_is_folded_past_it_unless_it_turns_a_channel_round():
    rng = np.random.default_rng(0)
    data = problems.dataset()
    norm = nn.BatchNorm2d(4)
    features = [nn.Conv2d(1, 4, 3, rng, padding=1), nn.MaxPool2d(2), norm, nn.ReLU(), nn.Flatten()]
    model = networks.shaken(nn.Sequential(*features, nn.Linear(36, 3, rng)), 0)
    norm.params["weight"][...] = np.abs(norm.params["weight"])
    assert far(model, networks.card_of(data), data) < 0.08
    norm.params["weight"][2] = -0.5
    with pytest.raises(
        ConfigError, match=r"layer 2, BatchNorm2d.* turns channel 2 upside down \(its weight is negative\)"
    ):
        quantize(model, networks.card_of(data), data.train_images)


REFUSED = {
    "GELU": ([nn.GELU()], r"layer 2, GELU\(\): int8 knows no activation but ReLU"),
    "LeakyReLU": ([nn.LeakyReLU()], r"layer 2, LeakyReLU\(negative_slope=0.01\): int8 knows no activation"),
    "LayerNorm": ([nn.LayerNorm(8), nn.ReLU()], r"layer 2, LayerNorm.*square root"),
    "Residual": ([nn.ReLU(), nn.Residual(nn.ReLU())], r"layer 3, Residual.*two scales"),
    "norm after ReLU": ([nn.ReLU(), nn.BatchNorm1d(8)], r"layer 3, BatchNorm1d.*does not directly follow"),
    "nothing": ([], r"layer 1, Linear.*has no ReLU before layer 2"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_whole_numbers_cannot_follow_is_refused_by_name(name):
    middle, message = REFUSED[name]
    data, rng = problems.dataset(), np.random.default_rng(0)
    layers = [nn.Flatten(), nn.Linear(36, 8, rng), *(layer.copy() for layer in middle), nn.Linear(8, 3, rng)]
    with pytest.raises(ConfigError, match=f"{message}.*export float32, without --int8 or --quantize"):
        quantize(nn.Sequential(*layers), networks.card_of(data), data.train_images)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.GlobalAvgPool2d()], ids=["AvgPool2d", "GlobalAvgPool2d"])
def test_means_of_bytes_are_refused_by_name(pool):
    data = problems.dataset()
    with pytest.raises(ConfigError, match=rf"layer 0, {type(pool).__name__}.*no mean of bytes"):
        quantize(nn.Sequential(pool.copy(), nn.Flatten()), networks.card_of(data), data.train_images)


def test_networks_that_begin_or_end_with_relu_are_refused():
    data, rng = problems.dataset(), np.random.default_rng(0)
    begins = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(36, 3, rng))
    with pytest.raises(ConfigError, match=r"layer 0, ReLU\(\) comes before all weights"):
        quantize(begins, networks.card_of(data), data.train_images)
    ends = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, rng), nn.ReLU())
    with pytest.raises(ConfigError, match=r"layer 1, Linear.* is the last layer and has a ReLU"):
        quantize(ends, networks.card_of(data), data.train_images)
    with pytest.raises(ConfigError, match="no dense layer or convolution"):
        quantize(nn.Sequential(nn.Flatten()), networks.card_of(data), data.train_images)


def test_pixels_that_are_no_bytes_are_refused():
    data = problems.dataset()
    floats = data.train_images.astype(np.float32) / 255
    with pytest.raises(DtypeError, match="int8 takes pixels as bytes"):
        quantize(problems.mlp(), networks.card_of(data), floats)


def test_weights_that_are_not_finite_are_refused():
    data, model = problems.dataset(), problems.mlp()
    model.layers[3].params["bias"][1] = np.nan
    with pytest.raises(ConfigError, match=r"layer 3, Linear.*holds NaN"):
        quantize(model, networks.card_of(data), data.train_images)


def test_each_rule_finds_its_scale():
    h = np.concatenate([np.linspace(0, 1, 20_000), [60.0]]).astype(np.float32)  # one outlier
    assert calibration.by_maximum(h) == 2  # 255·2^-2 = 63.75 holds 60
    assert calibration.by_percentile(h) == 7  # 255·2^-7 = 1.99 holds 1
    errors = {m: calibration.squared_error(h, m) for m in range(2, 9)}
    assert calibration.by_squared_error(h) == min(errors, key=errors.__getitem__)
    for rule in calibration.RULES.values():
        assert rule(np.zeros(5, np.float32)) == 0
        assert rule(np.array([255.0], np.float32)) == 0
        assert rule(np.array([256.0], np.float32)) == -1


def test_the_squared_error_is_that_of_the_bytes():
    h = np.array([0.0, 0.26, 0.75, 300.0], np.float32)
    assert calibration.squared_error(h, 1) == pytest.approx((0.24**2 + 0.25**2 + (300 - 127.5) ** 2) / 4, rel=1e-5)
