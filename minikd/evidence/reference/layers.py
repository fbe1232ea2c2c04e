"""Compares every layer, forward and backward, with PyTorch's module and autograd."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from minikd.evidence.reference.build import to_torch
from minikd.evidence.reference.rows import DTYPES, TIGHT, Comparison, compare
from minikd.nn import (
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
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
from minikd.typing import Floats, Shape

if TYPE_CHECKING:
    import torch

FLOAT32 = 5e-6
"""The bound for a layer in float32: a few dozen units in the last place, because sums are added in another order."""

IMAGE = (2, 3, 9, 7)
"""Uneven on purpose, so that mistaking a height for a width, or a batch for a channel, changes the result."""


@dataclass(frozen=True)
class LayerCase:
    """A layer, the shape of its input, and its mode.

    ties: the input has few different values, so that several elements share a maximum. ids: the input is whole numbers
    below this, which have no gradient; 0 for floats.
    """

    name: str
    layer: Layer
    shape: Shape
    training: bool = False
    ties: bool = False
    ids: int = 0
    float32: float = FLOAT32


def cases(rng: np.random.Generator) -> list[LayerCase]:
    """Return every layer with the settings that are easy to get wrong."""
    return [
        LayerCase("Linear", Linear(7, 5, rng), (3, 7)),
        LayerCase("Linear, no bias", Linear(7, 5, rng, bias=False), (3, 7)),
        *convolutions(rng),
        *poolings(),
        *elementwise(),
        LayerCase("BatchNorm1d, training", BatchNorm1d(6), (5, 6), training=True),
        LayerCase("BatchNorm1d, evaluation", BatchNorm1d(6), (5, 6)),
        LayerCase("BatchNorm2d, training", BatchNorm2d(3, eps=1e-3, momentum=0.3), IMAGE, training=True),
        LayerCase("BatchNorm2d, evaluation", BatchNorm2d(3, eps=1e-3, momentum=0.3), IMAGE),
        LayerCase("LayerNorm", LayerNorm(7), (3, 7)),
        LayerCase("LayerNorm over channels and image", LayerNorm(IMAGE[1:]), IMAGE),
        LayerCase("Dropout, evaluation", Dropout(0.4), (3, 7)),
        *containers(rng),
        LayerCase("Embedding", Embedding(6, 5, rng), (3, 4), ids=6),
    ]


def convolutions(rng: np.random.Generator) -> list[LayerCase]:
    """Return the convolution with each of its settings, then with all of them together."""
    stride, padding, dilation = (2, 1), (1, 2), (2, 3)
    return [
        LayerCase("Conv2d 3x3", Conv2d(3, 4, 3, rng), IMAGE),
        LayerCase("Conv2d 3x2, one channel", Conv2d(1, 4, (3, 2), rng, stride, padding), (2, 1, 9, 7)),
        LayerCase("Conv2d 3x2, stride (2, 1), padding (1, 2)", Conv2d(3, 4, (3, 2), rng, stride, padding), IMAGE),
        LayerCase("Conv2d 3x2, dilation (2, 3)", Conv2d(3, 4, (3, 2), rng, dilation=dilation), IMAGE),
        LayerCase("Conv2d 3x3, groups 2", Conv2d(4, 6, 3, rng, groups=2), (2, 4, 9, 7)),
        LayerCase("Conv2d 3x3, depthwise", Conv2d(4, 4, 3, rng, padding=1, groups=4), (2, 4, 9, 7)),
        LayerCase("Conv2d 1x1", Conv2d(3, 4, 1, rng), IMAGE),
        LayerCase(
            "Conv2d, all at once",
            Conv2d(4, 6, (3, 2), rng, stride, padding, dilation, groups=2),
            (2, 4, 9, 7),
        ),
    ]


def poolings() -> list[LayerCase]:
    """Return the poolings: without overlap, overlapping with padding, with skipped pixels, and with ties."""
    return [
        LayerCase("MaxPool2d 2x2", MaxPool2d(2), IMAGE),
        LayerCase("MaxPool2d 3x2, stride (2, 1), padding 1", MaxPool2d((3, 2), (2, 1), 1), IMAGE),
        LayerCase("MaxPool2d 2x2, stride 3", MaxPool2d(2, 3), IMAGE),
        LayerCase("MaxPool2d 3x2, overlapping, ties", MaxPool2d((3, 2), (2, 1), 1), IMAGE, ties=True),
        LayerCase("AvgPool2d 2x2", AvgPool2d(2), IMAGE),
        LayerCase("AvgPool2d 3x2, stride (2, 1), padding 1", AvgPool2d((3, 2), (2, 1), 1), IMAGE),
        LayerCase("GlobalAvgPool2d", GlobalAvgPool2d(), IMAGE),
        LayerCase("Flatten", Flatten(), IMAGE),
    ]


def elementwise() -> list[LayerCase]:
    """Return the activations. Those with a kink at zero also get zeros."""
    return [
        LayerCase("ReLU, with zeros", ReLU(), IMAGE, ties=True),
        LayerCase("LeakyReLU, with zeros", LeakyReLU(0.1), IMAGE, ties=True),
        LayerCase("Sigmoid", Sigmoid(), IMAGE),
        LayerCase("Tanh", Tanh(), IMAGE),
        LayerCase("GELU", GELU(), IMAGE),
    ]


def containers(rng: np.random.Generator) -> list[LayerCase]:
    """Return a residual block, and a chain of most layers with one block inside.

    No convolution is directly before a batch norm. Batch norm would remove its bias, whose gradient would be exactly 0,
    so that the comparison would be between rounding errors.
    """
    block = Residual(BatchNorm2d(3), GELU(), Conv2d(3, 3, 3, rng, padding=1))
    chain = Sequential(
        Conv2d(3, 4, (3, 2), rng, padding=1),
        LeakyReLU(),
        BatchNorm2d(4),
        Residual(Conv2d(4, 4, 3, rng, padding=1, groups=2), Tanh()),
        AvgPool2d((3, 2), (2, 1), 1),
        Flatten(),
        LayerNorm(4 * 5 * 9),
        Linear(4 * 5 * 9, 5, rng),
    )
    return [
        LayerCase("Residual", block, IMAGE, training=True, float32=1e-5),
        LayerCase("Sequential of most layers", chain, IMAGE, training=True, float32=5e-5),
    ]


def layer_rows(rng: np.random.Generator) -> Iterator[Comparison]:
    """Yield a row for the output, dx, each parameter's gradient and each running statistic of every case."""
    for case in cases(rng):
        model = Sequential(case.layer)
        shake(model, rng)
        x = rng.integers(-2, 3, case.shape) * 0.5 if case.ties else rng.standard_normal(case.shape)
        for dtype in DTYPES:
            bound = TIGHT if dtype == "float64" else case.float32
            if case.ids:
                yield from id_rows(case, model.astype(dtype), rng, dtype, bound)
            else:
                yield from case_rows(case, model.astype(dtype), x.astype(dtype), rng, bound)
    for dtype in DTYPES:
        yield from dropout_rows(rng, dtype)


def shake(model: Sequential, rng: np.random.Generator) -> None:
    """Change weights and running statistics at random, because ones and zeros hide mistakes."""
    model.vector += 0.3 * rng.standard_normal(model.vector.size)
    for name, value in model.state.items():
        if name.endswith("running_mean"):
            value += rng.standard_normal(value.shape)
        elif name.endswith("running_var"):
            value *= rng.uniform(0.5, 2.0, value.shape)


def case_rows(
    case: LayerCase, model: Sequential, x: Floats, rng: np.random.Generator, bound: float
) -> list[Comparison]:
    """Return the rows of one case in one dtype. The upstream gradient is random, because ones would hide mistakes."""
    import torch

    twin = to_torch(model).train(case.training)
    y, caches = model.forward(x, case.training)
    dy = rng.standard_normal(y.shape).astype(y.dtype)
    dx, grads = model.backward(dy, caches)
    if case.training:
        model.update_state(caches)
    leaves = {"dx": torch.tensor(x, requires_grad=True), **{f"d{n}": p for n, p in twin.named_parameters()}}
    ours = {"output": y, "dx": dx, **{f"d{name}": value for name, value in grads.items()}, **model.state}
    theirs = by_autograd(twin(leaves["dx"]), leaves, dy)
    theirs |= {name: value.numpy() for name, value in twin.named_buffers()}
    return compare(case.name, str(x.dtype), ours, theirs, bound)


def id_rows(case: LayerCase, model: Sequential, rng: np.random.Generator, dtype: str, bound: float) -> list[Comparison]:
    """Return the rows of a case whose input is whole numbers: output and gradients with respect to the parameters."""
    import torch

    ids, twin = rng.integers(0, case.ids, case.shape), to_torch(model)
    y, caches = model.forward(cast(Floats, ids))  # cast: a chain accepts what its first layer accepts
    dy = rng.standard_normal(y.shape).astype(y.dtype)
    leaves = {f"d{name}": value for name, value in twin.named_parameters()}
    ours = {"output": y, **{f"d{name}": value for name, value in model.parameter_gradients(dy, caches).items()}}
    return compare(case.name, dtype, ours, by_autograd(twin(torch.from_numpy(ids)), leaves, dy), bound)


def by_autograd(y: "torch.Tensor", leaves: "dict[str, torch.Tensor]", dy: Floats) -> dict[str, Floats]:
    """Return PyTorch's output and the gradient with respect to each leaf, by the leaf's name."""
    import torch

    grads = torch.autograd.grad(y, list(leaves.values()), torch.from_numpy(dy))
    return {"output": y.detach().numpy(), **{n: g.numpy() for n, g in zip(leaves, grads, strict=True)}}


def dropout_rows(rng: np.random.Generator, dtype: str) -> list[Comparison]:
    """Return the rows of dropout in training. minikd draws the mask; the arithmetic is compared."""
    import torch

    rate, x = 0.4, rng.standard_normal((40, 7)).astype(dtype)
    layer = Dropout(rate)
    y, cache = layer.forward(x, training=True, rng=rng)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, _ = layer.backward(dy, cache)
    leaf = torch.tensor(x, requires_grad=True)
    dropped = torch.where(torch.from_numpy(y != 0), leaf / (1 - rate), 0.0)
    bound = TIGHT if dtype == "float64" else FLOAT32
    return compare("Dropout, training", dtype, {"output": y, "dx": dx}, by_autograd(dropped, {"dx": leaf}, dy), bound)
