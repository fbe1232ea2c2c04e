"""How time and memory grow with the images, the channels and the batch, and the speed-up of a second thread.

The training is the teacher's, the convolution one of 3x3 to 32 channels on 32 images of 28x28, forward and backward.

Convolutions, pooling and dense layers do the same for every image and every channel, so the time should grow along a
straight line. A line is fitted to each series, and the point farthest from it is reported. Memory is the peak of what
NumPy and Python allocate, from before model and data are copied until the end of the work.
"""

import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TypedDict

import numpy as np

from minikd.evidence.bench.circumstances import BenchConditions, circumstances
from minikd.evidence.bench.ours import OurTraining
from minikd.evidence.bench.points import SeriesPoint, activations, by_batch, by_channels, by_images, training
from minikd.evidence.bench.timing import Side, race
from minikd.evidence.bench.works import TeacherAndStudent
from minikd.training.parallel import workers

TWO_THREADS = 1.7
"""The speed-up that two threads should reach."""


@dataclass(frozen=True)
class Span:
    """The points of the series, and the number of measurements."""

    images: tuple[int, ...] = (3840, 7680, 15_360, 30_720)
    channels: tuple[int, ...] = (8, 16, 32, 64, 128)
    batches: tuple[int, ...] = (32, 64, 128, 256, 512)
    repeats: int = 7
    burst: float = 0.15


QUICK = Span((256, 512), (4, 8), (32, 64), 1, 0.01)


class Series(TypedDict):
    """Median milliseconds and peak megabytes over `x`, and the largest relative distance of a point from the lines."""

    title: str
    axis: str
    x: list[int]
    ms: list[float]
    mb: list[float]
    off_line_ms: float
    off_line_mb: float


class Threads(TypedDict):
    """The teacher's training step on one thread and on `threads`."""

    threads: int
    one_ms: float
    all_ms: float
    ratio: float
    target: float | None
    spread_ms: dict[str, tuple[float, float]]


class Growth(TypedDict):
    """The output of `minikd bench --scaling --json`, with the series by "images", "channels" and "batch".

    `activations_mb` is the memory of one image's activations, the outputs of all layers together. `batch_mb` is the
    growth of a step's peak memory for each further image in the batch.
    """

    machine: BenchConditions
    series: dict[str, Series]
    activations_mb: float
    batch_mb: float
    threads: Threads


def growth(span: Span, threads: int, say: Callable[[str], None]) -> Growth:
    """Measure the three series and the threads."""
    with workers(threads) as map_:
        stage = TeacherAndStudent.of(max(*span.images, *span.batches), map_, threads)
        wanted = {
            "images": ("training pass", "images", by_images(stage, span.images)),
            "channels": ("convolution", "channels", by_channels(span.channels)),
            "batch": ("training step", "batch", by_batch(stage, span.batches)),
        }
        series = {}
        for name, (title, axis, points) in wanted.items():
            say(f"{title}, by {axis} ...")
            series[name] = measured(title, axis, points, span.repeats)
        say("one thread and all ...")
        return Growth(
            machine=circumstances(threads, with_torch=False),
            series=series,
            activations_mb=activations() / 1e6,
            batch_mb=line(series["batch"]["x"], series["batch"]["mb"])[0],
            threads=one_thread_and_all(stage, span),
        )


def measured(title: str, axis: str, points: Sequence[SeriesPoint], repeats: int) -> Series:
    """Return the memory of every point, and its time: the median over rounds through all points in random order."""
    mb = [peak(point) for point in points]
    works = [point.prepare() for point in points]
    times: list[list[float]] = [[] for _ in points]
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        for place in rng.permutation(len(points)):
            start = perf_counter()
            works[place]()
            times[place].append(1000 * (perf_counter() - start) / points[place].times)
    x, ms = [point.x for point in points], [median(found) for found in times]
    return Series(
        title=title,
        axis=axis,
        x=x,
        ms=ms,
        mb=mb,
        off_line_ms=distance_from_line(x, ms),
        off_line_mb=distance_from_line(x, mb),
    )


def peak(point: SeriesPoint) -> float:
    """Return the peak memory of a point in megabytes, from its preparation to its end."""
    tracemalloc.start()
    try:
        point.prepare()()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return slope and intercept of the line with the smallest squares of relative distances from the points."""
    matrix = np.stack([np.asarray(x), np.ones(len(x))], 1) / np.asarray(y)[:, None]
    (slope, height), *_ = np.linalg.lstsq(matrix, np.ones(len(x)))
    return float(slope), float(height)


def distance_from_line(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the largest relative distance of a point from the line."""
    slope, height = line(x, y)
    return max(abs((slope * a + height) / b - 1) for a, b in zip(x, y, strict=True))


class NamedSide:
    """A side with another name."""

    def __init__(self, name: str, side: Side) -> None:
        self.name, self.run, self.proof = name, side.run, side.proof


def one_thread_and_all(stage: TeacherAndStudent, span: Span) -> Threads:
    """Compare the times of the teacher's training step on one thread and on all threads."""
    sides = [
        NamedSide("one", OurTraining(training(), replace(stage, map_=map))),
        NamedSide("all", OurTraining(training(), stage)),
    ]
    times = race(sides, span.repeats, span.burst, np.random.default_rng(0))
    one, both = times["one"].median, times["all"].median
    return Threads(
        threads=stage.threads,
        one_ms=one,
        all_ms=both,
        ratio=one / both,
        target=TWO_THREADS if stage.threads == 2 else None,
        spread_ms={name: found.quartiles for name, found in times.items()},
    )
