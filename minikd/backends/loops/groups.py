"""A convolution in groups: as many convolutions side by side, each from its own channels to its own outputs.

Each group is a block of `block`, with the pooling and the ReLU behind it. Measured by `minikd bench --only kernels`.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends.loops.block import Saved, block, block_backward, block_backward_parameters
from minikd.backends.moves import Block
from minikd.typing import Floats


class SavedGroups(NamedTuple):
    """The cache of each group's block."""

    parts: list[Saved]


def grouped_block(x: Floats, w: Floats, b: Floats, moves: Block) -> tuple[Floats, SavedGroups] | None:
    """Return the outputs (N, O, P, Q) and the cache, or None where no loop covers these shapes.

    Shapes: x (N, C, H, W), w (O, C/groups, R, S), b (O,).
    """
    groups, found = x.shape[1] // w.shape[1], []
    for channels, own, bias in zip(*(runs(a, groups, axis) for a, axis in ((x, 1), (w, 0), (b, 0))), strict=True):
        part = block(channels, own, bias, moves)
        if part is None:
            return None
        found.append(part)
    return joined([y for y, _ in found]), SavedGroups([cache for _, cache in found])


def grouped_block_backward(
    dy: Floats, cache: SavedGroups, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return dx (N, C, H, W), dw and db from dy (N, O, P, Q); `into` holds the arrays to fill with dw and db."""
    found = [block_backward(one, part) for one, part in zip(runs(dy, len(cache.parts), 1), cache.parts, strict=True)]
    dw, db = together([(dw, db) for _, dw, db in found], into)
    return joined([dx for dx, _, _ in found]), dw, db


def grouped_block_backward_parameters(
    dy: Floats, cache: SavedGroups, into: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Return dw and db alone."""
    groups = zip(runs(dy, len(cache.parts), 1), cache.parts, strict=True)
    return together([block_backward_parameters(one, part) for one, part in groups], into)


def runs(a: Floats, groups: int, axis: int) -> Iterator[Floats]:
    """Yield each group's run of an array, along an axis."""
    return iter(np.split(a, groups, axis))


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
