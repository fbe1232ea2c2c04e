"""ONNX files answer in onnxruntime as the package does: float32 to 1e-5, whole numbers exactly."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd import nn
from minikd.data import Views
from minikd.errors import ConfigError
from minikd.evidence.gradcheck import suite
from minikd.exports.integer import QuantizedLinear, integer_logits
from minikd.exports.onnx import PLAIN, float_onnx
from minikd.exports.onnx_int8 import integer_onnx
from minikd.exports.quantize import quantize
from minikd.exports.runtime import runtime_logits
from minikd.losses import softmax
from minikd.nn.build import CHAINS, LAYERS
from tests import problems
from tests.exports import networks
from tests.exports.test_chain import Clipped, Described

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[export]'")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install '.[export]'")

pytestmark = pytest.mark.numpy_only("exports work on the host")

LAYERS_OF_ALL_KINDS = list(suite.layers(np.random.default_rng(0)))


def assert_close(found, right):
    assert found.shape == right.shape
    assert (np.abs(found - right) / np.maximum(1, np.abs(right))).max() < 1e-5


def float_logits(model, card, pixels):
    return model(Views(pixels, np.zeros(len(pixels), int), card.mean, card.std).clean())


def check_floats(model, data):
    """Hold the file beside the package, as onnxruntime rewrites the graph and as it stands."""
    card, pixels = networks.card_of(data), data.test_images
    file = float_onnx(model, card, pixels.dtype.type, {})
    right = float_logits(model, card, pixels)
    for optimize in (True, False):
        assert_close(runtime_logits(file, pixels, optimize), right)


def check_whole(model, data):
    card = networks.card_of(data)
    whole = quantize(model, card, data.train_images)
    right = np.ldexp(integer_logits(whole, data.test_images).astype(np.float32), -whole.logit_bits)
    for optimize in (True, False):
        assert np.array_equal(runtime_logits(integer_onnx(whole, card, {}), data.test_images, optimize), right)


@pytest.mark.parametrize(
    ("layer", "shape"), [c[1:3] for c in LAYERS_OF_ALL_KINDS], ids=[c[0] for c in LAYERS_OF_ALL_KINDS]
)
def test_every_layer_of_the_package_is_written(layer, shape):
    rng = np.random.default_rng(1)
    image = (3, *shape[2:]) if len(shape) == 4 else (3, 5, 4)
    before = [nn.Conv2d(3, shape[1], 1, rng)] if len(shape) == 4 else [nn.Flatten(), nn.Linear(60, shape[1], rng)]
    size = int(np.prod(layer.output_shape(shape[1:])))
    model = nn.Sequential(*before, layer.copy(), nn.Flatten(), nn.Linear(size, 4, rng))
    check_floats(networks.shaken(model, 2), networks.pictures(image, 4, count=8))


def test_a_residual_block_at_the_end_is_written_with_its_layers_names():
    block = nn.Residual(nn.Linear(5, 5, np.random.default_rng(0)), nn.Residual(nn.Tanh()))
    model, data = nn.Sequential(nn.Flatten(), block), networks.pictures((1, 1, 5), 5)
    check_floats(model, data)
    file = float_onnx(model, networks.card_of(data), np.uint8, {})
    names = [node.name for node in onnx.load_from_string(file).graph.node]
    assert {"1.0.Linear", "1.1.0.Tanh", "1.1.Residual", "1.Residual"} <= set(names)


def test_every_layer_that_a_weights_file_may_hold_is_known():
    by_hand = {nn.GELU, nn.Residual, nn.Dropout, nn.Sequential}  # several operators, a graph, and what `flat` takes out
    of_texts = {nn.Embedding}  # refused by name: what is exported looks at images
    assert {*LAYERS.values(), *CHAINS.values()} - {*PLAIN} == by_hand | of_texts


def test_an_embedding_is_refused_by_name():
    rng = np.random.default_rng(0)
    model, data = nn.Sequential(nn.Flatten(), nn.Embedding(7, 2, rng), nn.Flatten()), networks.pictures((1, 1, 5), 5)
    with pytest.raises(ConfigError, match="Embedding"):
        float_onnx(model, networks.card_of(data), np.uint8, {})


@pytest.mark.parametrize("name", list(networks.of_every_layer(np.random.default_rng(0))))
def test_networks_of_every_layer_are_written(name):
    model = networks.of_every_layer(np.random.default_rng(3))[name]
    check_floats(networks.shaken(model, 3), networks.pictures((3, 9, 8), 5))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_random_networks_in_float32_agree_to_a_hundred_thousandth(seed):
    model = networks.at_random(np.random.default_rng(seed), whole=False)
    check_floats(networks.shaken(model, seed), networks.pictures((3, 9, 8), 5, count=10, seed=seed))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_random_networks_in_whole_numbers_agree_exactly(seed):
    model = networks.at_random(np.random.default_rng(seed), whole=True)
    check_whole(networks.shaken(model, seed), networks.pictures((3, 9, 8), 5, count=40, seed=seed))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_padded_convolution_on_pixels_agrees_exactly(channels):
    rng = np.random.default_rng(0)
    data = networks.pictures((channels, 9, 8), 5)
    data.train_images[:, 0] //= 4  # so that the channels' means differ
    model = nn.Sequential(
        *(nn.Conv2d(channels, 6, 3, rng, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 11 * 10, 5, rng))
    )
    check_whole(model, data)


def test_floats_go_in_where_the_data_are_floats():
    data = problems.dataset()
    floats = networks.Dataset(
        *("bars", data.train_images / 255, data.train_labels, data.test_images / 255, data.test_labels),
        data.class_names,
    )
    check_floats(problems.cnn(), floats)


def written(int8=False):
    data, model = problems.dataset(), problems.cnn(norm=not int8)
    card, notes = networks.card_of(data, "student"), {"temperature": "4.0"}
    if int8:
        return integer_onnx(quantize(model, card, data.train_images), card, notes), model, data
    return float_onnx(model, card, np.uint8, notes), model, data


@pytest.mark.parametrize("int8", [False, True])
def test_the_file_passes_the_checker_and_says_what_it_is(int8):
    file, _, data = written(int8)
    model = onnx.load_from_string(file)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    notes = {one.key: one.value for one in model.metadata_props}
    assert json.loads(notes["class_names"]) == list(data.class_names)
    assert notes["temperature"] == "4.0"
    assert model.graph.name == "student"
    assert [one.name for one in model.graph.input] == ["pixels"]
    assert [one.name for one in model.graph.output] == ["logits", "probabilities"]


@pytest.mark.parametrize("int8", [False, True])
def test_names_say_what_things_are(int8):
    file, _, _ = written(int8)
    graph = onnx.load_from_string(file).graph
    names = [*(node.name for node in graph.node), *(one.name for one in graph.initializer)]
    assert len(set(names)) == len(names)
    assert not any(name.isdigit() for name in names)
    if not int8:
        assert {"0.weight", "0.bias", "1.running_mean", "5.weight"} <= set(names)
        assert {"0.Conv2d", "1.BatchNorm2d", "2.MaxPool2d", "pixels.normalised"} <= set(names)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("count", [1, 7, 30])
def test_a_batch_may_have_any_size(int8, count):
    file, _, data = written(int8)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    logits, chances = session.run(None, {"pixels": data.test_images[:count]})
    assert logits.shape == chances.shape == (count, 3)
    assert np.allclose(chances, softmax(logits), atol=1e-6)


def test_normalisation_stays_outside_of_the_convolution():
    """Black pixels are not what the convolution pads with: folded in, the border would be wrong."""
    file, model, data = written()
    nodes = [node.op_type for node in onnx.load_from_string(file).graph.node]
    assert nodes[:5] == ["Cast", "Div", "Sub", "Div", "Conv"]
    black = np.zeros((1, *data.image_shape), np.uint8)
    assert_close(runtime_logits(file, black), float_logits(model, networks.card_of(data), black))


def saturating(weight, pixels, zero):
    """Return sums as a processor without VNNI adds them: products of bytes in pairs, in 16 bits that saturate."""
    products = pixels.astype(int)[:, None] * (weight.astype(int) + zero)
    pairs = products.reshape(*products.shape[:2], -1, 2).sum(3)
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(2) - zero * pixels.astype(int).sum(1)[:, None]


def test_saturation_in_pairs_would_show_and_weights_as_uint8_avoid_it():
    data = networks.pictures((1, 6, 6), 3)
    data.test_images[:] = 255
    model = problems.mlp()
    model.layers[1].params["weight"][...] = 1.0
    whole = quantize(model, networks.card_of(data), data.train_images)
    first = whole.layers[1]
    pixels = data.test_images.reshape(len(data.test_images), -1)
    right = pixels.astype(int) @ first.weight.T.astype(int)
    assert not np.array_equal(saturating(first.weight, pixels, 0), right)  # uint8 x int8: 2·255·64 is beyond 32,767
    file = integer_onnx(whole, networks.card_of(data), {})
    kinds = {one.name: one.data_type for one in onnx.load_from_string(file).graph.initializer}
    weights = [kinds[f"{i}.weight"] for i, one in enumerate(whole.layers) if isinstance(one, QuantizedLinear)]
    assert weights == [onnx.TensorProto.UINT8] * 2  # for which no runtime has that path
    check_whole(model, data)


def test_somebody_elses_layer_is_written_as_what_it_says_or_refused():
    rng, data = np.random.default_rng(0), problems.dataset()
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 8, rng), Described(), nn.Linear(8, 3, rng))
    check_floats(model, data)
    check_whole(model, data)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, rng), Clipped())
    with pytest.raises(ConfigError, match=r"layer 2, Clipped\(\)"):
        float_onnx(model, networks.card_of(data), np.uint8, {})
