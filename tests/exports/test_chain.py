"""A model as a flat list of layers, and layers of other people's."""

import numpy as np
import pytest

from minikd.errors import ConfigError
from minikd.exports.chain import flat
from minikd.nn import Dropout, Layer, LeakyReLU, Linear, ReLU, Residual, Sequential

pytestmark = pytest.mark.numpy_only("exports work on the host")


class Clipped(Layer):
    """Somebody's own: max(x, 0), by no method that minikd knows."""

    def forward(self, x, training=False, rng=None):
        return np.maximum(x, 0), None


class Described(Clipped):
    """The same, with a way to write it down."""

    def export(self):
        return [ReLU()]


class Wrong(Clipped):
    def export(self):
        return "relu"


class Circular(Clipped):
    def export(self):
        return [Circular()]


class Sharper(Linear):
    """A layer made of one of minikd's, which computes something else."""

    def forward(self, x, training=False, rng=None):
        return super().forward(2 * x, training, rng)


def names(model):
    return [(name, type(layer).__name__) for name, layer in flat(model)]


def test_chains_are_opened_and_dropout_is_left_out():
    rng = np.random.default_rng(0)
    inner = Sequential(ReLU(), Sequential(Dropout(0.2), LeakyReLU()))
    model = Sequential(Linear(3, 3, rng), inner, Dropout(0.5), Residual(Dropout(0.1), ReLU()))
    assert names(model) == [("0", "Linear"), ("1.0", "ReLU"), ("1.1.1", "LeakyReLU"), ("3", "Residual")]


def test_a_layer_of_somebody_elses_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"layer 1, Clipped\(\) is not one of minikd's layers.*method export\(\)"):
        flat(Sequential(ReLU(), Clipped()))


def test_a_layer_derived_from_one_of_minikds_is_not_taken_for_it():
    with pytest.raises(ConfigError, match="layer 0, Sharper"):
        flat(Sequential(Sharper(2, 2, np.random.default_rng(0))))


def test_a_layer_of_somebody_elses_may_say_what_it_computes():
    assert names(Sequential(Sequential(Described()))) == [("0.0.0", "ReLU")]


def test_what_it_says_must_be_layers():
    with pytest.raises(ConfigError, match=r"layer 0, Wrong\(\): export\(\) returned 'relu'"):
        flat(Sequential(Wrong()))


class Doubled(Sequential):
    """A chain that is not what its layers compute."""

    def forward_with_taps(self, x, names, training=False, rng=None):
        return super().forward_with_taps(2 * x, names, training, rng)


def test_a_chain_of_somebody_elses_is_refused_wherever_it_stands():
    with pytest.raises(ConfigError, match=r"layer model, Doubled\(ReLU\(\)\) is not one of minikd's"):
        flat(Doubled(ReLU()))
    with pytest.raises(ConfigError, match=r"layer 1, Doubled"):
        flat(Sequential(ReLU(), Doubled(ReLU())))


def test_a_residual_block_that_is_the_whole_model_stays_one_layer():
    block = Residual(ReLU(), Sequential(LeakyReLU()))
    assert names(block) == [("model", "Residual")]
    assert [name for name, _ in flat(block, "model.")] == ["model.0", "model.1.0"]


def test_a_layer_that_answers_with_itself_is_refused():
    with pytest.raises(ConfigError, match=r"layer 0, Circular\(\): export\(\) returned a layer of its own kind"):
        flat(Sequential(Circular()))


def test_the_model_is_left_as_it_was():
    layer = Described()
    model = Sequential(layer)
    flat(model)
    flat(model)
    assert model.layers == (layer,)
