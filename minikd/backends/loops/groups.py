"""A convolution in groups: a separate convolution for each group, from its channels to its outputs.

Each group is a block of `block.py`, with the pooling and the ReLU after it. Measured by `minikd bench --only kernels`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends.loops.block import Saved
from minikd.backends.loops.block import block as one_block
from minikd.backends.loops.block import block_backward as one_backward
from minikd.backends.loops.block import block_backward_parameters as one_backward_parameters
from minikd.backends.moves import Block
from minikd.typing import Floats


class SavedGroups(NamedTuple):
    """The cache of each group's block."""

    parts: list[Saved]


def block(x: Floats, w: Floats, b: Floats | None, moves: Block) -> tuple[Floats, Saved | SavedGroups] | None:
    """Return the outputs (N, O, P, Q) and the cache, or None if no loop supports these shapes.

    Shapes: x (N, C, H, W), w (O, C/groups, R, S), b (O,) or None for no bias.
    """
    if moves.groups == 1:
        return one_block(x, w, b, moves)
    if x.ndim != 4 or x.shape[1] != moves.groups * w.shape[1]:
        return None
    biases, found = [None] * moves.groups if b is None else runs(b, moves.groups, 0), []
    for channels, own, bias in zip(runs(x, moves.groups, 1), runs(w, moves.groups, 0), biases, strict=True):
        part = one_block(channels, own, bias, moves._replace(groups=1))
        if part is None:
            return None
        found.append(part)
    return joined([y for y, _ in found]), SavedGroups([cache for _, cache in found])


def block_backward(
    dy: Floats, cache: Saved | SavedGroups, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C, H, W), dw and db from dy (N, O, P, Q); `into` holds the arrays to fill with dw and db."""
    if isinstance(cache, Saved):
        return one_backward(dy, cache, into)
    groups = zip(runs(dy, len(cache.parts), 1), cache.parts, strict=True)
    found = [one_backward(one, part) for one, part in groups]
    return joined([dx for dx, _, _ in found]), *together([(dw, db) for _, dw, db in found], into)


def block_backward_parameters(
    dy: Floats, cache: Saved | SavedGroups, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Return only dw and db."""
    if isinstance(cache, Saved):
        return one_backward_parameters(dy, cache, into)
    groups = zip(runs(dy, len(cache.parts), 1), cache.parts, strict=True)
    return together([one_backward_parameters(one, part) for one, part in groups], into)


def runs(a: Floats, groups: int, axis: int) -> list[Floats]:
    """Return each group's slice of an array, along an axis."""
    return np.split(a, groups, axis)


def joined(parts: list[Floats]) -> Floats:
    """Return the groups' images (N, C, H, W) as one, channels-last in memory."""
    rows = np.concatenate([part.transpose(0, 2, 3, 1) for part in parts], axis=3)
    return rows.transpose(0, 3, 1, 2)


def together(gradients: list[tuple[Floats, Floats]], into: Mapping[str, Floats] | None) -> tuple[Floats, Floats]:
    """Return all groups' dw and db, in `into` if it is given."""
    weights, biases = zip(*gradients, strict=True)
    dw: Floats = np.concatenate(weights, out=into["weight"] if into else None)
    db: Floats = np.concatenate(biases, out=into["bias"] if into else None)
    return dw, db
