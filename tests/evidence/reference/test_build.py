"""Weights go to PyTorch and back under the same names, as arrays and as safetensors files."""

import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minikd.errors import BackendError, ConfigError, ShapeError
from minikd.evidence.reference import from_torch_state, to_torch
from minikd.nn import (
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


def every_layer(seed=0):
    """A chain with every layer in it, of float32, its weights and running statistics away from zero and one."""
    rng = np.random.default_rng(seed)
    model = Sequential(
        Conv2d(1, 4, (3, 2), rng, stride=(2, 1), padding=(1, 2)),
        BatchNorm2d(4),
        ReLU(),
        MaxPool2d((3, 2), (2, 1), 1),
        Residual(Conv2d(4, 4, 3, rng, padding=1, groups=2), GELU(), Residual(BatchNorm2d(4), Tanh())),
        AvgPool2d(2, 1),
        LeakyReLU(0.1),
        Sequential(Conv2d(4, 6, 1, rng), Sigmoid()),
        GlobalAvgPool2d(),
        Flatten(),
        LayerNorm(6),
        Dropout(0.3),
        Linear(6, 5, rng),
        BatchNorm1d(5),
    )
    model.vector += 0.1 * rng.standard_normal(model.vector.size)
    for value in model.state.values():
        value += np.asarray(3 * rng.random(value.shape)).astype(value.dtype)
    return model


def logits_of(twin, torch, x):
    with torch.no_grad():
        return twin(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_twin_has_the_same_names_weights_and_outputs(torch, dtype):
    model = every_layer().astype(dtype)
    twin = to_torch(model)
    theirs = {name: value.numpy() for name, value in twin.state_dict().items()}
    assert theirs.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(theirs[name], value, strict=True)
    assert [name for name, _ in twin.named_parameters()] == list(model.params)
    assert all(parameter.requires_grad for parameter in twin.parameters())
    x = np.random.default_rng(1).standard_normal((3, 1, 11, 9)).astype(dtype)
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(logits_of(twin, torch, x), model(x), rtol=tolerance, atol=tolerance, strict=True)


def test_a_twin_has_its_own_weights_and_leaves_the_global_generator_alone(torch):
    model, before = every_layer(), torch.random.get_rng_state()
    twin = to_torch(model)
    assert torch.equal(torch.random.get_rng_state(), before)
    kept = model.vector.copy()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(model.vector, kept)


def test_weights_come_back_from_pytorch(torch):
    twin, model = to_torch(every_layer(seed=1)), every_layer(seed=2)
    from_torch_state(model, twin.state_dict())
    expected = every_layer(seed=1)
    np.testing.assert_array_equal(model.vector, expected.vector, strict=True)
    for name, value in expected.state.items():
        np.testing.assert_array_equal(model.state[name], value, strict=True)


def test_half_precision_weights_come_back_in_the_models_dtype(torch):
    twin, model = to_torch(every_layer(seed=1)).to(torch.bfloat16), every_layer(seed=2)
    from_torch_state(model, twin.state_dict())
    assert model.vector.dtype == np.float32
    np.testing.assert_allclose(model.vector, every_layer(seed=1).vector, rtol=2**-8)


def test_weights_of_another_model_are_refused(torch):
    model = every_layer()
    with pytest.raises(ShapeError, match="another model"):
        from_torch_state(model, torch.nn.Sequential(torch.nn.Linear(2, 3)).state_dict())


def test_a_file_of_minikds_loads_in_pytorch(torch, tmp_path):
    from safetensors.torch import load_file as load_in_torch

    model = every_layer()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    twin = to_torch(every_layer(seed=7))
    twin.load_state_dict(load_in_torch(tmp_path / "weights.safetensors"))
    x = np.random.default_rng(1).standard_normal((3, 1, 11, 9)).astype("float32")
    np.testing.assert_allclose(logits_of(twin, torch, x), model(x), rtol=1e-4, atol=1e-4)


def test_a_file_of_pytorchs_loads_in_minikd(torch, tmp_path):
    from safetensors.torch import save_file as save_in_torch

    # Written as a PyTorch user would, without a look at minikd.
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.MaxPool2d(2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 4 * 3, 10),
    ).eval()
    save_in_torch(twin.state_dict(), tmp_path / "weights.safetensors")
    rng = np.random.default_rng(3)
    model = Sequential(
        Conv2d(1, 4, 3, rng, padding=1), BatchNorm2d(4), MaxPool2d(2), ReLU(), Flatten(), Linear(48, 10, rng)
    )
    model.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x = rng.standard_normal((3, 1, 8, 6)).astype("float32")
    np.testing.assert_allclose(model(x), logits_of(twin, torch, x), rtol=1e-5, atol=1e-5)


def test_a_layer_without_counterpart_is_named(torch):
    class Mine(Layer):
        pass

    with pytest.raises(ConfigError, match=r"Mine\(\) has no counterpart in PyTorch"):
        to_torch(Sequential(Mine()))


def test_without_pytorch_the_fix_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendError, match=r"PyTorch is not installed: .*pip install '.\[torch\]'"):
        to_torch(every_layer())
