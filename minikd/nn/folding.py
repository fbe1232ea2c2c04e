"""Batch norm folded into the layer before it. It helps in training, and then costs nothing in evaluation.

In evaluation mode, the batch norm of an output o is a fixed linear function, like the dense layer before it:

    z[o] = γ[o] (Σ_c w[o, c] x[c] + b[o] - μ[o]) / sqrt(σ²[o] + ε) + β[o]

    with s[o] = γ[o] / sqrt(σ²[o] + ε):    w'[o, c] = s[o] w[o, c],    b'[o] = s[o] (b[o] - μ[o]) + β[o]

and z = x w'ᵀ + b', one dense layer (Jacob et al. 2018, Quantization and training of neural networks for efficient
integer-arithmetic-only inference, §3.2). A convolution is a dense layer over windows, and is folded in the same way.
"""

from typing import TypeVar

from minikd.backends import module_of
from minikd.nn.container import Sequential
from minikd.nn.conv import Conv2d
from minikd.nn.layer import Layer
from minikd.nn.linear import Linear
from minikd.nn.normalization import BatchNorm1d, BatchNorm2d

ChainT = TypeVar("ChainT", bound=Sequential)


def folded(model: ChainT) -> ChainT:
    """Return a copy without the batch norms directly after a dense layer of this chain. Chains inside it do not change.

    In evaluation mode it gives the same outputs, up to rounding. To train more, use the unfolded network: a training
    step of the folded one would be different.
    """
    layers: list[Layer] = []
    for layer in model.layers:
        before = layers[-1] if layers else None
        if isinstance(layer, BatchNorm1d) and isinstance(before, Linear):
            layers[-1] = biased = with_bias(before)
            fold(biased, layer)
        else:
            layers.append(layer.copy())
    return model.with_layers(layers)


def with_bias(layer: Linear | Conv2d) -> Linear | Conv2d:
    """Return a copy with a bias. If the layer has none, it is zeros, and the copy computes the same."""
    twin, weight = layer.copy(), layer.params["weight"]
    if "bias" not in twin.params:
        twin.params["bias"] = module_of(weight).zeros(len(weight), weight.dtype)
    return twin


def fold(layer: Linear | Conv2d, norm: BatchNorm1d | BatchNorm2d) -> None:
    """Change a dense layer or a convolution with a bias, so that it gives the output of the batch norm after it."""
    weight, bias, state = layer.params["weight"], layer.params["bias"], norm.state
    scale = norm.params["weight"] / module_of(weight).sqrt(state["running_var"] + norm.eps)
    weight *= scale.reshape(-1, *(1,) * (weight.ndim - 1))
    bias[...] = scale * (bias - state["running_mean"]) + norm.params["bias"]
