"""The roofline: only the matrix products of a work, at the best speed of this machine's BLAS.

Everything in a step except its matrix products is overhead: copying windows, pooling, activations, losses, the
optimiser. So a step cannot be faster than its products. If it takes twice as long, it spends half its time on overhead.
The roofline does not limit PyTorch, because its convolutions need not be products of this BLAS.

Each product is cut along the batch axis into one share for each thread, and each share into chunks. The arrays are
contiguous, and the same chunk is multiplied repeatedly, so a chunk that fits into a cache does not wait for memory. The
size of the chunks is the fastest of several, each tried on one thread.
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
"""Bytes of a chunk's three arrays, to try: from the size of the first-level cache to a single chunk."""

TRIAL = 0.02
"""Seconds for which each size of a chunk is tried."""


class Product(NamedTuple):
    """(M, N) = (M, K) @ (K, N), with the letter of the batch axis."""

    name: str
    M: int
    K: int
    N: int
    batch_axis: str

    @property
    def flops(self) -> int:
        """The number of multiplications and additions."""
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
    """Yield the products of a forward pass, and in training those of dw and dx. The first layer's dx is not needed."""
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
    """One thread's part of a product: a @ b into out, `times` times; a fraction if the last chunk is smaller."""

    a: Floats
    b: Floats
    out: Floats
    times: float


def chunked(product: Product, threads: int, most_bytes: int) -> Share:
    """Return a thread's share of a product in chunks of at most `most_bytes`."""
    _, M, K, N, axis = product
    whole = max(1, (M if axis == "M" else K) // threads)
    fixed, each = (K * N, K + N) if axis == "M" else (M * N, M + N)  # elements: the unsplit array's, a row's
    chunk = min(whole, max(16, (most_bytes // 4 - fixed) // each))
    M, K = (chunk, K) if axis == "M" else (M, chunk)
    return Share(np.ones((M, K), np.float32), np.ones((K, N), np.float32), np.empty((M, N), np.float32), whole / chunk)


def fastest(product: Product, threads: int) -> Share:
    """Return the share with the fastest chunks."""
    shares = [chunked(product, threads, most) for most in CHUNKS]
    return min(shares, key=lambda share: share.times * trial(share))


def trial(share: Share) -> float:
    """Return the shortest time of a chunk's product, in seconds."""
    best, end = math.inf, time.perf_counter() + TRIAL
    while (start := time.perf_counter()) < end:
        np.matmul(share.a, share.b, out=share.out)
        best = min(best, time.perf_counter() - start)
    return best


class Roofline:
    """The products as a side of the benchmark: every thread only does its shares, one after the other."""

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
        """Do all products once for each number, in one call of the threads, so that their start counts only once."""
        list(self.stage.map_(lambda thread: self.work(self.shares[thread], len(numbers)), range(self.threads)))

    def work(self, shares: list[Share], count: int) -> None:
        """Do one thread's shares `count` times."""
        for share in shares:
            for _ in range(round(count * share.times)):
                np.matmul(share.a, share.b, out=share.out)

    def proof(self) -> Mapping[str, Floats]:
        """Return nothing to compare, because all numbers in the products are 1."""
        return {}
