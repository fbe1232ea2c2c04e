"""Old argument names: files that hold them load, calls that use them learn the new one."""

import json
from pathlib import Path

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.errors import ConfigError
from minikd.nn.activations import leaky_relu
from minikd.nn.build import build_sequential
from minikd.nn.dropout import dropout
from minikd.nn.renamed import WRITTEN_BEFORE, as_before

BEFORE = json.loads((Path(__file__).parent / "layers_of_before.json").read_text())
X = np.zeros((2, 3), np.float32)


def test_a_description_with_the_old_names_gives_the_same_layers():
    shapes = {name: tuple(shape) for name, shape in BEFORE["shapes"].items()}
    model = build_sequential({"layers": BEFORE["layers"]}, shapes)
    assert model.layers[1].num_features == 2
    assert model.layers[2].negative_slope == 0.2
    assert model.layers[4].p == 0.25
    assert model.layers[5].layers[0].normalized_shape == (8,)
    assert "Dropout(p=0.25)" in model.in_one_line()
    again = build_sequential(json.loads(json.dumps(model.config())), shapes)
    assert again.in_one_line() == model.in_one_line()


def test_a_models_identity_is_the_one_that_run_folders_hold():
    shapes = {name: tuple(shape) for name, shape in BEFORE["shapes"].items()}
    model = build_sequential({"layers": BEFORE["layers"]}, shapes)
    assert as_before(model.in_one_line()) == BEFORE["identity"]
    assert all(name in BEFORE["identity"] for name in WRITTEN_BEFORE.values())


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: nn.Dropout(rate=0.5), "^Dropout's argument 'rate' is now 'p'$"),
        (lambda: nn.LeakyReLU(slope=0.1), "^LeakyReLU's argument 'slope' is now 'negative_slope'"),
        (lambda: nn.BatchNorm2d(features=3), "^BatchNorm's argument 'features' is now 'num_features'"),
        (lambda: nn.LayerNorm(shape=3), "^LayerNorm's argument 'shape' is now 'normalized_shape'"),
        (lambda: dropout(X, rate=0.5, rng=np.random.default_rng(0)), "^dropout's argument 'rate' is now 'p'"),
        (lambda: leaky_relu(X, slope=0.1), "^leaky_relu's argument 'slope' is now 'negative_slope'"),
        (lambda: minikd.export(nn.Sequential(), None, path="a.c", int8=True), "^export's argument 'int8' is now 'quan"),
    ],
)
def test_a_call_with_an_old_name_says_the_new_one(call, told):
    with pytest.raises(ConfigError, match=told):
        call()


def test_the_names_are_pytorchs():
    torch_nn = pytest.importorskip("torch").nn
    for ours, theirs in (
        (nn.Dropout(0.5), torch_nn.Dropout),
        (nn.LeakyReLU(0.1), torch_nn.LeakyReLU),
        (nn.BatchNorm1d(3), torch_nn.BatchNorm1d),
        (nn.BatchNorm2d(3), torch_nn.BatchNorm2d),
        (nn.LayerNorm(3), torch_nn.LayerNorm),
        (nn.AvgPool2d(2), torch_nn.AvgPool2d),
        (nn.MaxPool2d(2), torch_nn.MaxPool2d),
        (nn.Linear(2, 3, np.random.default_rng(0)), torch_nn.Linear),
        (nn.Conv2d(2, 3, 1, np.random.default_rng(0)), torch_nn.Conv2d),
    ):
        twin = theirs(**ours.config())
        shapes = {name: tuple(value.shape) for name, value in twin.named_parameters()}
        assert shapes == {name: value.shape for name, value in ours.params.items()}
