"""The roofline: the matrix products of a work alone, at the best speed that this machine's BLAS reaches.

A step of a network is its matrix products, and all else (copying windows, pooling, activations, losses, the optimiser)
is overhead. So a step cannot be faster than its products, and one that takes twice as long spends half its time beside
them. PyTorch is not bound by this line: its convolutions need not be products by this BLAS.

Each product is cut along the axis that runs over the batch, one share for each thread, and each share into chunks. Its
arrays are contiguous and the same chunk is multiplied again and again, so nothing waits for memory that fits a cache.
The chunk is the fastest of several sizes, each tried on one thread.
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from minikd.evidence.bench.works import Inference, Problem, TeacherAndStudent
from minikd.nn import Conv2d, Linear, Sequential
from minikd.typing import Floats, Shape

CHUNKS = (2**16, 2**18, 2**20, 2**22, 2**30)
"""Bytes of a chunk's three arrays that are tried: from the first-level cache to no cutting at all."""

TRIAL = 0.02
"""Seconds that a chunk is tried for."""


class Product(NamedTuple):
    """(M, N) = (M, K) @ (K, N), with the letter of the axis that runs over the batch."""

    name: str
    M: int
    K: int
    N: int
    batch_axis: str

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.M * self.K * self.N


def products_of(problem: Problem, image: Shape, batch: int) -> list[Product]:
    """Return every matrix product of a work."""
    if isinstance(problem, Inference):
        return list(products(problem.model, image, problem.images, training=False))
    found = list(products(problem.model, image, batch, training=True))
    if isinstance(problem.teacher, Sequential):
        found += products(problem.teacher, image, batch, training=False)
    return found


def products(model: Sequential, image: Shape, batch: int, training: bool) -> Iterator[Product]:
    """Yield the products of a forward pass, and in training those of dw and dx; nobody needs the first layer's dx."""
    shape, first = image, True
    for i, layer in enumerate(model.layers):
        name, after = f"{i}.{type(layer).__name__}", layer.output_shape(shape)
        if isinstance(layer, Conv2d | Linear):
            O, inputs = len(layer.params["weight"]), layer.params["weight"][0].size
            rows = batch * math.prod(after) // O  # N·P·Q windows of a convolution, N samples of a dense layer
            yield Product(f"{name} y", rows, inputs, O, "M")
            if training:
                yield Product(f"{name} dw", O, rows, inputs, "K")
                if not first:
                    yield Product(f"{name} dx", rows, O, inputs, "M")
            first = False
        shape = after


class Share(NamedTuple):
    """One thread's part of a product: a @ b into out, so many times; a fraction where chunks do not come out even."""

    a: Floats
    b: Floats
    out: Floats
    times: float


def chunked(product: Product, threads: int, most_bytes: int) -> Share:
    """Return a thread's share of a product in chunks of at most so many bytes."""
    _, M, K, N, axis = product
    whole = max(1, (M if axis == "M" else K) // threads)
    fixed, each = (K * N, K + N) if axis == "M" else (M * N, M + N)  # elements of the array that stays, of a row
    chunk = min(whole, max(16, (most_bytes // 4 - fixed) // each))
    M, K = (chunk, K) if axis == "M" else (M, chunk)
    return Share(np.ones((M, K), np.float32), np.ones((K, N), np.float32), np.empty((M, N), np.float32), whole / chunk)


def fastest(product: Product, threads: int) -> Share:
    """Return the share whose chunks take the least time."""
    shares = [chunked(product, threads, most) for most in CHUNKS]
    return min(shares, key=lambda share: share.times * trial(share))


def trial(share: Share) -> float:
    """Return the least seconds that a chunk's product takes."""
    best, end = math.inf, time.perf_counter() + TRIAL
    while (start := time.perf_counter()) < end:
        np.matmul(share.a, share.b, out=share.out)
        best = min(best, time.perf_counter() - start)
    return best


class Roofline:
    """The products as a side of the race: every thread does its shares, one after the other, and nothing else."""

    name = "matrix products alone"

    def __init__(self, problem: Problem, stage: TeacherAndStudent) -> None:
        batch, image = len(stage.batch(0)), stage.views.images.shape[1:]
        # One image cannot be cut.
        self.threads = 1 if isinstance(problem, Inference) and problem.images == 1 else stage.threads
        self.stage = stage
        self.shares = [
            [fastest(product, self.threads) for product in products_of(problem, image, batch)]
            for _ in range(self.threads)
        ]

    def run(self, numbers: range) -> None:
        """Do all products once for each number, in one call of the threads: starting them is no product."""
        list(self.stage.map_(lambda thread: self.work(self.shares[thread], len(numbers)), range(self.threads)))

    def work(self, shares: list[Share], count: int) -> None:
        """Do one thread's shares `count` times."""
        for share in shares:
            for _ in range(round(count * share.times)):
                np.matmul(share.a, share.b, out=share.out)

    def proof(self) -> Mapping[str, Floats]:
        """There is nothing to agree on: the numbers multiplied are all 1."""
        return {}
