"""Low rank: a dense layer becomes two thin ones. Their training starts from the best approximation.

A weight matrix w (O, C) of rank r is a product u v of u (O, r) and v (r, C). Two layers, C to r and r to O, have r (C +
O) weights instead of C·O, which are fewer if r < C·O / (C + O).

The singular value decomposition w = U S Vᵀ gives the nearest such product: the r largest singular values are kept
(Eckart & Young 1936). Its squared distance from w is the sum of the squares of the others,

    ‖w - u v‖² = Σ_{i > r} S[i]²

Both factors get the square root of the singular values, u = U √S and v = √S Vᵀ, so that neither learns faster than the
other. The first layer's bias is 0, and the second has the old bias. There is no ReLU between the two, so whole numbers
do not support them (`exports.quantize`). Such a student is exported in float32.
"""

import numpy as np

from minikd.backends import to_host
from minikd.checks import whole_number
from minikd.errors import ConfigError
from minikd.nn import Linear, Sequential
from minikd.nn.layer import Layer
from minikd.typing import Floats


def factors(w: Floats, rank: int) -> tuple[Floats, Floats]:
    """Return u (O, rank) and v (rank, C) whose product is nearest to w (O, C) in the sum of squares."""
    left, values, right = np.linalg.svd(w, full_matrices=False)
    root = np.sqrt(values[:rank])
    return left[:, :rank] * root, root[:, None] * right[:rank]


def low_rank(model: Sequential, rank: int) -> Sequential:
    """Return a copy of the model for further training. Dense layers become two layers of this rank if that is smaller.

    It is on the host. Raises ConfigError if no layer gets smaller.
    """
    rank = whole_number(rank, "rank", 1)
    layers: list[Layer] = []
    for layer in model.converted(to_host).layers:
        layers += thin(layer, rank) if isinstance(layer, Linear) else [layer.copy()]
    if len(layers) == len(model.layers):
        raise ConfigError(f"no dense layer gets smaller by rank {rank}; choose a lower one")
    return model.with_layers(layers)


def thin(layer: Linear, rank: int) -> list[Layer]:
    """Return a dense layer as two of this rank, or unchanged if they would not be smaller."""
    O, C = layer.params["weight"].shape
    if rank * (C + O) >= C * O:
        return [layer.copy()]
    rng = np.random.default_rng(0)  # any values: they are replaced
    first, second = Linear(C, rank, rng), Linear(rank, O, rng)
    u, v = factors(layer.params["weight"], rank)
    first.params = {"weight": v, "bias": np.zeros(rank, v.dtype)}
    second.params = {"weight": u, "bias": layer.params["bias"].copy()}
    return [first, second]
