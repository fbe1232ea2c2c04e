"""Converts a minikd model to a `torch.nn.Sequential` with the same weights, and PyTorch's weights back to minikd."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from minikd.backends import module_of, to_host
from minikd.errors import BackendError, ConfigError, how_to_install
from minikd.nn import (
    GlobalAvgPool2d,
    Layer,
    Residual,
    Sequential,
)

if TYPE_CHECKING:
    import torch


def require_torch() -> None:
    """Raise `BackendError` with the fix if PyTorch is missing."""
    try:
        import_module("torch")
    except ImportError as error:
        raise BackendError(
            f"PyTorch is not installed: install the extra with {how_to_install('torch')} ({error})"
        ) from error


def to_torch(model: Sequential) -> "torch.nn.Sequential":
    """Return `model` as PyTorch modules, with copies of its weights, on the CPU and in evaluation mode.

    The names and shapes in `state_dict()` are the same on both sides. Raises `BackendError` if PyTorch is missing
    and `ConfigError` for a layer that has no counterpart.
    """
    require_torch()
    import torch

    # On the "meta" device modules have no values, so nothing is drawn from PyTorch's global generator.
    with torch.device("meta"):
        twin = torch.nn.Sequential(*(as_module(layer) for layer in model.layers))
    weights = {name: torch.from_numpy(to_host(value).copy()) for name, value in model.state_dict().items()}
    twin.load_state_dict(weights, assign=True)
    return twin.eval()


def from_torch_state(model: Sequential, state: Mapping[str, "torch.Tensor"]) -> None:
    """Copy the weights of a `torch.nn.Sequential.state_dict()` into `model`, in place, in the model's dtype.

    Tensors may be on any device and have any float dtype, also bfloat16. Raises `ShapeError` if names or shapes belong
    to another model.
    """
    import torch

    xp = module_of(model.vector)
    exact = {name: value.detach().cpu() for name, value in state.items()}
    exact = {name: value.to(torch.float64) if value.is_floating_point() else value for name, value in exact.items()}
    model.load_state_dict({name: xp.asarray(value.numpy()) for name, value in exact.items()})


def as_module(layer: Layer) -> "torch.nn.Module":
    """Return the PyTorch module with the same name and settings, with PyTorch's initial weights."""
    from torch import nn

    match layer:
        case Residual():
            block = nn.Sequential(*(as_module(inner) for inner in layer.layers))
            block.register_forward_hook(lambda module, inputs, output: inputs[0] + output)
            return block
        case Sequential():
            return nn.Sequential(*(as_module(inner) for inner in layer.layers))
        case GlobalAvgPool2d():
            return nn.AdaptiveAvgPool2d(1)
    kind = getattr(nn, type(layer).__name__, None) if type(layer).__module__.startswith("minikd.nn.") else None
    if kind is None:
        raise ConfigError(f"{layer!r} has no counterpart in PyTorch")
    module: nn.Module = kind(**layer.config())  # the arguments have PyTorch's names
    return module
