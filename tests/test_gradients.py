"""Every layer, every loss and whole models against finite differences."""

import numpy as np
import pytest

from minikd import losses, nn
from minikd.evidence.gradcheck.suite import checks, layers, loss_cases, models
from minikd.nn import windows

CHECKS = list(checks(np.random.default_rng(0)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_along_a_random_direction(check, seed):
    report = check.run(np.random.default_rng(seed), False)
    assert report.ok, report.message


@pytest.mark.numpy_only("a direction tells all there is to tell of a backend, in a thousandth of the passes")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_element(check):
    report = check.run(np.random.default_rng(4), True)
    assert report.ok, report.message
    assert len(report.arguments) == len(report.shapes)
    assert not report.notes, "some argument was left out"


def test_names_are_distinct():
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))


def test_every_layer_is_checked():
    cases = [layer for _, layer, _, _ in layers(np.random.default_rng(0))]
    cases += [model for _, model, _, _ in models(np.random.default_rng(0))]
    wanted = {getattr(nn, name) for name in nn.__all__} - {nn.Grads, nn.Layer}
    by_itself = {nn.Embedding}  # its input is whole numbers
    assert wanted == {type(layer) for layer in cases} | by_itself
    assert all(kind.__name__ in {check.name for check in CHECKS} for kind in by_itself)


def test_every_loss_is_checked():
    names = " ".join([check.name for check in CHECKS] + [name for name, _, _ in loss_cases(np.random.default_rng(0))])
    assert all(name.removesuffix("_backward") in names for name in losses.__all__)


@pytest.mark.parametrize("check", [check for check in CHECKS if "Conv2d" in check.name], ids=lambda check: check.name)
def test_convolution_one_image_at_a_time(check, backend, monkeypatch):
    """The sums over chunks of images: small tests would otherwise fit one chunk and never add two."""
    monkeypatch.setattr(windows, "PIECE_BYTES", dict.fromkeys(windows.PIECE_BYTES, 1))
    report = check.run(np.random.default_rng(5), backend.name == "numpy")
    assert report.ok, report.message


def test_parameter_gradients_are_those_of_the_whole_backward_pass():
    """What a first layer computes when it leaves its input's gradient out."""
    rng = np.random.default_rng(0)
    for name, layer, shape, training in [*layers(rng), *models(rng)]:
        x = rng.standard_normal(shape).astype(np.float32)
        y, cache = layer.forward(x, training, np.random.default_rng(1))
        dy = rng.standard_normal(y.shape).astype(np.float32)
        whole, alone = layer.backward(dy, cache)[1], layer.parameter_gradients(dy, cache)
        assert whole.keys() == alone.keys(), name
        assert all(np.array_equal(whole[key], alone[key]) for key in whole), name
