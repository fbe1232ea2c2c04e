"""The works whose growth is measured: a pass over images, a convolution over channels, a step over batch sizes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from minikd.data import epoch_order
from minikd.distillation.recipe import Recipe
from minikd.evidence.bench.ours import OurTraining
from minikd.evidence.bench.works import BATCH, IMAGE, TeacherAndStudent, TrainingStep, teacher
from minikd.nn import Conv2d
from minikd.typing import Shape

STEPS = 512
"""Images on which a point of the batch series trains in one call, in steps of its batch size."""

CONVOLVED = 32
"""Images in the batch of the convolution."""


@dataclass(frozen=True)
class SeriesPoint:
    """A point of a series.

    `prepare` makes everything that the work needs and returns it. A call does the work `times` times.
    """

    x: int
    times: int
    prepare: Callable[[], Callable[[], object]]


def training() -> TrainingStep:
    """Return the teacher's training."""
    return TrainingStep(teacher(), None, Recipe().teacher.shards)


def activations() -> int:
    """Return the bytes of one image's activations in the teacher: the image and every layer's output, in float32."""
    shape: Shape = IMAGE
    total = math.prod(shape)
    for layer in teacher().layers:
        shape = layer.output_shape(shape)
        total += math.prod(shape)
    return 4 * total


def by_images(stage: TeacherAndStudent, counts: Sequence[int]) -> list[SeriesPoint]:
    """Return passes of the teacher's training over these numbers of images, with a copy of the images."""

    def prepare(count: int) -> Callable[[], object]:
        views = replace(stage.views, images=stage.views.images[:count].copy(), labels=stage.views.labels[:count])
        few = replace(stage, views=views, batches=epoch_order(count, BATCH, 0, 0))
        side = OurTraining(training(), few)
        return lambda: side.run(range(len(few.batches)))

    return [SeriesPoint(count, 1, partial(prepare, count)) for count in counts]


def by_batch(stage: TeacherAndStudent, sizes: Sequence[int]) -> list[SeriesPoint]:
    """Return steps of the teacher's training with these batch sizes."""

    def prepare(size: int, steps: int) -> Callable[[], object]:
        side = OurTraining(training(), replace(stage, batches=epoch_order(len(stage.views), size, 0, 0)))
        return lambda: side.run(range(steps))

    counts = {size: max(1, STEPS // size) for size in sizes}
    return [SeriesPoint(size, steps, partial(prepare, size, steps)) for size, steps in counts.items()]


def by_channels(counts: Sequence[int]) -> list[SeriesPoint]:
    """Return 3x3 convolutions from these numbers of channels to 32, forward and backward, on one thread."""

    def prepare(count: int) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        layer = Conv2d(count, 32, 3, rng, padding=1)
        x = rng.standard_normal((CONVOLVED, count, *IMAGE[1:]), np.float32)

        def work() -> None:
            y, cache = layer.forward(x, training=True)
            layer.backward(y, cache)

        return work

    return [SeriesPoint(count, 1, partial(prepare, count)) for count in counts]
