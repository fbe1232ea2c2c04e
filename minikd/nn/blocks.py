"""Blocks: consecutive layers that are computed together, if a kernel can do this.

A block is a convolution with the max pooling and the ReLU after it, or a dense layer with its ReLU. Between the layers
of a block there is a large array. Layer by layer, it would be written to memory and read again. The layers do not
change. At each layer, a chain looks for a block here. It computes layer by layer if there is no kernel
(`backends.kernels_of`), if the kernel does not support the shapes, or if an output inside the block is needed.
"""

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from typing import NamedTuple

import numpy as np

from minikd.backends import kernels_of, module_of
from minikd.checks import check_alike
from minikd.errors import ConfigError, ShapeError
from minikd.nn.activations import ReLU
from minikd.nn.conv import Conv2d
from minikd.nn.layer import Grads, Layer, check_upstream
from minikd.nn.linear import Linear, check_linear
from minikd.nn.pooling import MaxPool2d
from minikd.nn.returned import check_grads, pair_of
from minikd.typing import Floats

Places = Mapping[str, Floats] | None
"""The arrays for the gradients of a layer's parameters, by name, or None for new arrays."""


class ComputedInBlock(NamedTuple):
    """The cache of a layer that was computed in a block with the layers before it."""


class BlockCache(NamedTuple):
    """The cache of a block's first layer: the kernels' backward passes, their cache, the shape of the block's output.

    The backward passes get dy, the cache, and the arrays for the gradients, or None.
    """

    backward: Callable[[Floats, object, Places], tuple[Floats, Floats, Floats]]
    backward_parameters: Callable[[Floats, object, Places], tuple[Floats, Floats]]
    cache: object
    shape: tuple[int, ...]


def forward(
    layers: Sequence[Layer], i: int, x: Floats, taps: Container[str], training: bool, rng: np.random.Generator | None
) -> tuple[Floats, list[object]]:
    """Run layer i, or the block that begins with it. Return the output, and the cache of each layer.

    taps: the numbers of the layers whose outputs are needed. A block ends at such a layer.
    """
    layer, block = layers[i], None
    if type(layer) is Conv2d:
        block = convolution(layer, layers, i, x, taps)
    elif type(layer) is Linear:
        block = dense(layer, layers, i, x, taps)
    if block:
        return block
    y, cache = pair_of(layer, "forward", layer.forward(x, training, rng))
    return y, [cache]


def convolution(
    layer: Conv2d, layers: Sequence[Layer], i: int, x: Floats, taps: Container[str]
) -> tuple[Floats, list[object]] | None:
    """Run the block that begins with convolution i, or return None if no kernel supports it."""
    kernels = kernels_of(x)
    if not kernels or not hasattr(kernels, "block"):
        return None
    pool, relu = pool_and_relu_after(layers, i, taps)
    window = pool.stride if pool else (1, 1)
    moves = kernels.Block(layer.stride, layer.padding, layer.dilation, window, relu, layer.groups)
    found = kernels.block(x, layer.params["weight"], layer.params.get("bias"), moves)
    if not found:
        return None
    y, cache = found
    own = BlockCache(kernels.block_backward, kernels.block_backward_parameters, cache, y.shape)
    return y, [own, *[ComputedInBlock()] * (bool(pool) + relu)]


def dense(
    layer: Linear, layers: Sequence[Layer], i: int, x: Floats, taps: Container[str]
) -> tuple[Floats, list[object]] | None:
    """Run dense layer i, with the ReLU after it if there is one, or return None if no kernel supports it."""
    kernels = kernels_of(x)
    if not kernels or not hasattr(kernels, "dense"):
        return None
    w, b = layer.params["weight"], layer.params.get("bias")
    check_linear(x, w, b)
    relu = str(i) not in taps and i + 1 < len(layers) and type(layers[i + 1]) is ReLU
    y, cache = kernels.dense(x, w, b, relu)
    return y, [
        BlockCache(kernels.dense_backward, kernels.dense_backward_parameters, cache, y.shape),
        *[ComputedInBlock()] * relu,
    ]


def pool_and_relu_after(layers: Sequence[Layer], i: int, taps: Container[str]) -> tuple[MaxPool2d | None, bool]:
    """Return the max pooling after convolution i, if its windows tile the image, and whether a ReLU follows."""
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
    """Refuse a gradient with respect to an output inside a block, because the block has not returned this output."""
    for name in dtaps:
        if name != str(len(caches) - 1) and isinstance(caches[int(name) + 1], ComputedInBlock):
            raise ConfigError(
                f"there is a gradient with respect to the output of layer {name}, which the forward pass did not hand "
                f"out; ask for it: forward_with_taps(x, [{name!r}])"
            )


def backward(layer: Layer, dy: Floats, cache: object, into: Floats | None) -> tuple[Floats, Grads]:
    """Return the gradients with respect to input and parameters of a layer, or of the block that begins with it.

    into: an array for the parameters' gradients, in the order of the layer's part of its chain's vector, or None.
    """
    if isinstance(cache, ComputedInBlock):
        return dy, {}
    if isinstance(cache, BlockCache):
        check_upstream(dy, cache.shape, layer.params["weight"].dtype, "the block")
        dx, dw, db = cache.backward(dy, cache.cache, block_views(layer, into))
        return dx, dict(zip(layer.params, (dw, db), strict=False))  # a layer without a bias has no db
    if into is not None and takes_into(type(layer).backward):
        return layer.backward(dy, cache, into=into)  # type: ignore[call-arg]
    dx, grads = pair_of(layer, "backward", layer.backward(dy, cache))
    return dx, placed(layer, grads, into)


def parameter_gradients(layer: Layer, dy: Floats, cache: object, into: Floats | None) -> Grads:
    """Return only the gradients with respect to the parameters."""
    if isinstance(cache, BlockCache):
        check_upstream(dy, cache.shape, layer.params["weight"].dtype, "the block")
        dw, db = cache.backward_parameters(dy, cache.cache, block_views(layer, into))
        return dict(zip(layer.params, (dw, db), strict=False))
    if into is not None and takes_into(type(layer).parameter_gradients):
        return layer.parameter_gradients(dy, cache, into=into)  # type: ignore[call-arg]
    return placed(layer, layer.parameter_gradients(dy, cache), into)


@lru_cache
def takes_into(way: Callable[..., object]) -> bool:
    """Return whether a backward pass has the argument `into`, as a chain's has. A user's layer need not have it."""
    return "into" in signature(way).parameters


def placed(layer: Layer, grads: Grads, into: Floats | None) -> Grads:
    """Return a layer's gradients, copied into the given arrays."""
    found = views(layer, into)
    if not found:
        return grads
    if not isinstance(grads, Mapping) or found.keys() - grads.keys():
        check_grads(layer, grads)
    for name, view in found.items():
        check_alike(grads[name], view, f"the gradient of {name}", "the parameter")
        if grads[name].shape != view.shape:
            raise ShapeError(
                f"the gradient of {name} has shape {grads[name].shape}, but the parameter {view.shape}: correct the "
                "backward pass"
            )
        view[...] = grads[name]
    return found


def block_views(layer: Layer, into: Floats | None) -> Grads | None:
    """Return `views` for a block's kernels. They always write db. Without a bias, they write it to an unused array."""
    found, w = views(layer, into), layer.params["weight"]
    if found is not None and "bias" not in found:
        found["bias"] = module_of(w).empty(len(w), w.dtype)
    return found


def views(layer: Layer, into: Floats | None) -> Grads | None:
    """Return the parts of a flat vector that belong to the layer's parameters, in their shapes."""
    if into is None:
        return None
    found: Grads = {}
    start = 0
    for name, value in layer.params.items():
        found[name] = into[start : start + value.size].reshape(value.shape)
        start += value.size
    return found
