"""Shards: the parts of a batch whose gradients are computed at the same time, each on a separate thread.

    dL/dw = Σ_k n_k/N · dL_k/dw,   L_k the mean loss over the n_k samples of shard k, of a batch of N

The number of shards changes the bits of the result, because rounding depends on the order of a sum. The number of
threads does not: the gradients are added in the order of the shards.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minikd.training.objective import Term
from minikd.typing import Floats, Ints, Scalar


class BatchPart(NamedTuple):
    """A shard before it is computed: its number, its samples, and their fraction of the batch."""

    number: int
    samples: Ints
    share: float


class Shard(NamedTuple):
    """A computed shard: its part of the batch's loss and gradient, the forward pass's cache, and the loss terms."""

    loss: Scalar
    gradient: Floats
    cache: object
    terms: Sequence[Term]
    share: float


def cut(index: Ints, most: int) -> list[BatchPart]:
    """Divide the samples of a batch into at most this many parts, as equal as possible."""
    parts = np.array_split(index, min(most, len(index)))
    return [BatchPart(number, part, len(part) / len(index)) for number, part in enumerate(parts)]


def summed(shards: Sequence[Shard]) -> tuple[Scalar, Floats]:
    """Return the batch's loss and gradient. The sum is taken in the first shard's array."""
    loss, gradient = shards[0].loss, shards[0].gradient
    for other in shards[1:]:
        loss = loss + other.loss
        gradient += other.gradient
    return loss, gradient
