"""The roofline by pass: what stands between a training step and what this machine allows.

    python benchmarks/passes.py            # teacher and student, one thread, batch 128

Each pass reads and writes bytes and takes multiply-adds. The machine's best rates for both are measured beside the
passes: a matrix product of 256 x 1024 x 256, and a copy of 32 MB from memory to memory. A pass takes at least the
longer of the two times, unless the caches hold its arrays: a pass that is repeated alone finds them there. All times
are processor times of one thread, the least of many, so that other work on the machine disturbs little. Winograd's
passes are counted with Winograd's products, 4 where the windows take 9.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minikd import optim
from minikd.backends.host import which_loops
from minikd.evidence.bench.works import BATCH, TEMPERATURE, TeacherAndStudent, student, teacher
from minikd.losses import cross_entropy, distillation_loss
from minikd.nn import Conv2d, Sequential, blocks
from minikd.training.parallel import workers
from minikd.typing import Floats

REPEATS, LEAST = 25, 1e-3


class Pass(NamedTuple):
    """A part of a step: its work, how often a step takes it, its multiply-adds (millions) and bytes (millions)."""

    name: str
    work: Callable[[], object]
    times: int
    mmacs: float
    mb: float


def seconds(work: Callable[[], object]) -> float:
    """Return the least processor time that a piece of work takes."""
    start, count = time.thread_time(), 0
    while time.thread_time() - start < LEAST:
        work()
        count += 1
    found = []
    for _ in range(REPEATS):
        start = time.thread_time()
        for _ in range(count):
            work()
        found.append((time.thread_time() - start) / count)
    return min(found)


def passes_of(model: Sequential, stage: TeacherAndStudent, shards: int, logits: Floats | None) -> list[Pass]:
    """Return the passes of a training step; logits: the teacher's, where there is one."""
    rows = BATCH // shards
    index = stage.batch(0)[:rows]
    labels, x = stage.views.labels[index], stage.views.clean(index)
    found = [Pass("pixels to floats", lambda: stage.views.clean(index), shards, 0, x.size * 5 / 1e6)]
    layers, shape, i = model.layers, x.shape[1:], 0
    back: list[Pass] = []
    while i < len(layers):
        y, caches = blocks.forward(layers, i, x, (), True, None)
        names = "+".join(type(layer).__name__ for layer in layers[i : i + len(caches)])
        winograd = isinstance(layer := layers[i], Conv2d) and min(layer.params["weight"].shape[:2]) >= 8
        mmacs = rows * layer.macs(shape) * (4 / 9 if winograd else 1) / 1e6
        mb, dy = (x.nbytes + y.nbytes + 4 * layer.size) / 1e6, np.ones_like(y)

        def forward(i: int = i, x: Floats = x) -> object:
            return blocks.forward(layers, i, x, (), True, None)

        def backward(i: int = i, dy: Floats = dy, cache: object = caches[0], first: bool = not back) -> object:
            way = blocks.parameter_gradients if first else blocks.backward
            return way(layers[i], dy, cache, None)

        if layer.params:
            found.append(Pass(f"{names}, forward", forward, shards, mmacs, mb))
            twice = 2 if back else 1  # nobody needs the first layer's dx
            back.append(
                Pass(f"{names}, backward", backward, shards, twice * mmacs, mb + (x.nbytes if back else 0) / 1e6)
            )
        for layer in layers[i : i + len(caches)]:
            shape = layer.output_shape(shape)
        x, i = y, i + len(caches)
    z = np.asarray(x)

    def loss() -> object:
        return cross_entropy(z, labels) if logits is None else distillation_loss(z, logits[index], labels, TEMPERATURE)

    found += [Pass("loss", loss, shards, 0, 3 * z.nbytes / 1e6), *reversed(back)]
    adam, weights, gradient = optim.Adam(), model.vector.copy(), np.full_like(model.vector, 1e-3)
    state = adam.init(weights)
    step = Pass("Adam", lambda: adam.step(weights, gradient, state, 1e-3), 1, 0, 7 * weights.nbytes / 1e6)
    return [*found, step]


def table(title: str, passes: list[Pass]) -> None:
    """Measure passes and print a line for each."""
    a, b = np.ones((256, 1024), "f"), np.ones((1024, 256), "f")
    c, big, other = np.empty((256, 256), "f"), np.ones(2**23, "f"), np.empty(2**23, "f")
    rate, width, rows = 0.0, 0.0, []
    for one in passes:
        rate = max(rate, 256 * 1024 * 256 / seconds(lambda: np.matmul(a, b, out=c)) / 1e6)  # (M, N) = (M, K) @ (K, N)
        width = max(width, 2 * big.nbytes / seconds(lambda: np.copyto(other, big)) / 1e6)
        rows.append((one, 1e3 * one.times * seconds(one.work)))
    print(
        f"\n{title}: {rate / 1e3:.0f} billion multiply-adds and {width / 1e3:.1f} GB a second at best; {which_loops()}"
    )
    print(f"{'pass':44s} {'M multiply-adds':>15s} {'MB':>6s} {'allowed ms':>10s} {'measured':>9s} {'times':>6s}")
    sums = np.zeros(4)
    for one, measured in rows:
        mmacs, mb = one.times * one.mmacs, one.times * one.mb
        allowed = 1e3 * max(mmacs / rate, mb / width)
        sums += mmacs, mb, allowed, measured
        print(f"{one.name:44s} {mmacs:15.1f} {mb:6.1f} {allowed:10.3f} {measured:9.3f} {measured / allowed:6.1f}")
    print(f"{'together':44s} {sums[0]:15.1f} {sums[1]:6.1f} {sums[2]:10.3f} {sums[3]:9.3f} {sums[3] / sums[2]:6.1f}")


def main() -> None:
    """Print both tables."""
    with workers(1) as map_:
        stage = TeacherAndStudent.of(2000, map_, 1)
        logits = np.random.default_rng(3).standard_normal((len(stage.views), 10), np.float32)
        table("teacher's step", passes_of(teacher(), stage, 2, None))
        table("distillation step, 784-128-10, logits cached", passes_of(student(128), stage, 1, logits))


if __name__ == "__main__":
    main()
