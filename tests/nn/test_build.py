import json

import numpy as np
import pytest

from minikd import nn
from minikd.errors import CheckpointError
from minikd.evidence.gradcheck import suite
from minikd.nn.build import build, build_sequential


def shapes_of(layer):
    return {name: value.shape for name, value in {**layer.params, **layer.state}.items()}


ALL = [*suite.layers(np.random.default_rng(0)), *suite.models(np.random.default_rng(0))]


@pytest.mark.parametrize(("layer", "shape"), [case[1:3] for case in ALL], ids=[case[0] for case in ALL])
def test_a_layer_comes_back_from_its_description_as_json(layer, shape):
    text = json.dumps({"layer": type(layer).__name__, **layer.config()})
    twin = build(json.loads(text), shapes_of(layer))
    assert type(twin) is type(layer)
    assert repr(twin) == repr(layer)
    assert [(k, v.shape) for k, v in twin.params.items()] == [(k, v.shape) for k, v in layer.params.items()]
    assert twin.output_shape(shape[1:]) == layer.output_shape(shape[1:])


def test_settings_survive_the_description():
    layer = nn.Conv2d(4, 6, (3, 2), np.random.default_rng(0), (2, 1), (1, 2), (1, 3), groups=2)
    twin = build(json.loads(json.dumps({"layer": "Conv2d", **layer.config()})), shapes_of(layer))
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(twin, name) == getattr(layer, name)
    norm = build({"layer": "BatchNorm1d", "num_features": 3, "eps": 0.5, "momentum": 0.25}, {"weight": (3,)})
    assert (norm.eps, norm.momentum) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"layer": "LSTM"}, "unknown layer 'LSTM'; minikd has AvgPool2d, .*Tanh"),
        ({"layer": "Layer"}, "unknown layer 'Layer'"),
        ({"layer": ["ReLU"]}, r"unknown layer \['ReLU'\]"),
        ({}, "unknown layer None"),
        ({"layer": "Linear", "in_features": 3}, "Linear cannot be made from.*out_features"),
        ({"layer": "ReLU", "slope": 1}, "ReLU cannot be made from.*slope"),
        ({"layer": "Dropout", "p": 2}, "Dropout cannot be made from.*p is 2"),
        ({"layer": "Dropout", "p": "much"}, "Dropout cannot be made from"),
        ({"layer": "Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": [3]}, "kernel_size is"),
        ({"layer": "Sequential"}, "Sequential is described by.*needs a list of layers alone"),
        ({"layer": "Residual", "layers": {"layer": "ReLU"}}, "needs a list of layers alone"),
        ({"layer": "Sequential", "layers": ["ReLU"]}, "ReLU"),
    ],
)
def test_what_describes_no_layer_is_refused(description, message):
    with pytest.raises(CheckpointError, match=message):
        build(description, {})


def test_a_chain_is_built_from_its_own_description():
    model = nn.Sequential(nn.Residual(nn.Linear(3, 3, np.random.default_rng(0)), nn.ReLU()), nn.Flatten())
    twin = build_sequential(model.config(), shapes_of(model))
    twin.load_state_dict(model.state_dict())
    x = np.ones((2, 3), np.float32)
    assert np.array_equal(twin(x), model(x))
