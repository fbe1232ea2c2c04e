"""Blocks: a convolution, and the max pooling and the ReLU behind it, computed in one go where a kernel can.

Between these layers lies the largest array of a step, and each layer alone would write it to memory and read it again.
The layers stay what they are: a chain asks here at each convolution, and goes layer by layer where there is no kernel
(`backends.kernels_of`), where it covers no such shapes, or where somebody wants an output inside the block.
"""

from collections.abc import Collection, Container, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from minikd.backends import kernels_of
from minikd.errors import ConfigError
from minikd.nn.activations import ReLU
from minikd.nn.conv import Conv2d
from minikd.nn.layer import Grads, Layer, check_upstream
from minikd.nn.pooling import MaxPool2d
from minikd.nn.returned import pair_of
from minikd.typing import Floats


class Inside(NamedTuple):
    """The cache of a layer that was computed with the layers before it."""


class BlockCache(NamedTuple):
    """The cache of a block's first layer: the kernels, their cache, the shape of the block's output."""

    kernels: ModuleType
    cache: object
    shape: tuple[int, ...]


def forward(
    layers: Sequence[Layer], i: int, x: Floats, taps: Container[str], training: bool, rng: np.random.Generator | None
) -> tuple[Floats, list[object]]:
    """Run layer i, or the block that begins there; return the output, and the cache of each layer that was run.

    taps: the numbers of the layers whose outputs are wanted, which end a block.
    """
    layer = layers[i]
    kernels = kernels_of(x) if type(layer) is Conv2d and layer.groups == 1 and "bias" in layer.params else None
    if isinstance(layer, Conv2d) and kernels and hasattr(kernels, "block"):
        pool, relu = following(layers, i, taps)
        moves = kernels.Block(layer.stride, layer.padding, layer.dilation, pool.stride if pool else (1, 1), relu)
        if found := kernels.block(x, layer.params["weight"], layer.params["bias"], moves):
            y, cache = found
            return y, [BlockCache(kernels, cache, y.shape), *[Inside()] * (bool(pool) + relu)]
    y, cache = pair_of(layer, "forward", layer.forward(x, training, rng))
    return y, [cache]


def following(layers: Sequence[Layer], i: int, taps: Container[str]) -> tuple[MaxPool2d | None, bool]:
    """Return the max pooling behind convolution i, if its windows tile the image, and whether a ReLU follows."""
    pool, after = None, i + 1
    if str(i) in taps:
        return None, False
    if after < len(layers) and type(found := layers[after]) is MaxPool2d:
        if found.kernel_size != found.stride or found.padding != (0, 0):
            return None, False
        pool, after = found, after + 1
        if str(after - 1) in taps:
            return pool, False
    return pool, after < len(layers) and type(layers[after]) is ReLU


def check_taps(dtaps: Collection[str], caches: Sequence[object]) -> None:
    """Refuse a gradient with respect to an output inside a block: none was handed out."""
    for name in dtaps:
        if name != str(len(caches) - 1) and isinstance(caches[int(name) + 1], Inside):
            raise ConfigError(
                f"there is a gradient with respect to the output of layer {name}, which the forward pass did not hand "
                f"out; ask for it: forward_with_taps(x, [{name!r}])"
            )


def backward(layer: Layer, dy: Floats, cache: object) -> tuple[Floats, Grads]:
    """Return the gradients with respect to the input and the parameters, of a layer or of a block that begins there."""
    if isinstance(cache, Inside):
        return dy, {}
    if not isinstance(cache, BlockCache):
        return pair_of(layer, "backward", layer.backward(dy, cache))
    check_upstream(dy, cache.shape, layer.params["weight"].dtype, "the block")
    dx, dw, db = cache.kernels.block_backward(dy, cache.cache)
    return dx, {"weight": dw, "bias": db}


def parameter_gradients(layer: Layer, dy: Floats, cache: object) -> Grads:
    """Return the gradients with respect to the parameters alone."""
    if not isinstance(cache, BlockCache):
        return layer.parameter_gradients(dy, cache)
    check_upstream(dy, cache.shape, layer.params["weight"].dtype, "the block")
    dw, db = cache.kernels.block_backward_parameters(dy, cache.cache)
    return {"weight": dw, "bias": db}
