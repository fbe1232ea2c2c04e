"""The package's trainings on both backends: the differences of their losses, the copies of a step, and its time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypedDict

import numpy as np

from minikd import models
from minikd.backends import Backend
from minikd.data import Augmentation, Views, load_dataset, mean_and_std
from minikd.distillation.recipe import Recipe
from minikd.distillation.teacher import teacher_for
from minikd.evidence.gpu_check.cases import HOST
from minikd.evidence.gpu_check.device import counting_copies, spent
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.training import loop
from minikd.training.plan import Plan
from minikd.training.run import Run
from minikd.typing import Scalar

IMAGES = 1000
WARM_UP = 3
KINDS = ("teacher", "student on labels", "student, cached teacher", "student, live teacher")
AGREEMENT = {"float64": (10, 1e-8), "float32": (3, 1e-4)}
"""The number of steps, and the largest relative difference of a loss. Rounding grows from step to step, because Adam
moves a weight by the sign of even a tiny gradient."""


class DeviceTraining(TypedDict):
    """One training: how much its losses differ from NumPy's, and the cost of a step.

    `host_ms` is the host's time to launch a step. `device_ms` is the time of a step on the device when steps follow
    each other. `error` says why a training could not be run; then nothing else was measured.
    """

    name: str
    difference: dict[str, float]
    ok: bool
    copies_to_device: int
    copies_to_host: int
    host_ms: float
    device_ms: float
    images_per_second: float
    error: str


def trainings(
    device: Backend, batch_size: int, count: int, dtypes: Sequence[str] = tuple(AGREEMENT)
) -> Iterator[DeviceTraining]:
    """Yield every training, with the mean times of `count` steps. A training that fails also gives a row."""
    views = images(max(IMAGES, batch_size))
    for kind in KINDS:
        try:
            yield training(kind, device, views, batch_size, count, dtypes)
        except Exception as error:  # after any error, the other trainings must still run
            yield DeviceTraining(
                name=kind,
                difference={},
                ok=False,
                copies_to_device=0,
                copies_to_host=0,
                host_ms=0.0,
                device_ms=0.0,
                images_per_second=0.0,
                error=f"{type(error).__name__}: {error}",
            )


def training(
    kind: str, device: Backend, views: Views, batch_size: int, count: int, dtypes: Sequence[str]
) -> DeviceTraining:
    """Return the results of one training. A batch has at most as many images as there are."""
    batch_size, difference = min(batch_size, len(views)), {}
    for dtype in dtypes:
        steps, _ = AGREEMENT[dtype]
        there, here = (losses(make(kind, backend, views, dtype), steps, batch_size) for backend in (device, HOST))
        difference[dtype] = max(abs(a - b) / abs(b) for a, b in zip(there, here, strict=True))
    run = make(kind, device, views, "float32")
    losses(run, WARM_UP, batch_size)
    with counting_copies() as copies:
        take(run, WARM_UP, batch_size)
    times = spent(partial(take, run, batch_size=batch_size), count)
    return DeviceTraining(
        name=kind,
        difference=difference,
        ok=all(apart <= AGREEMENT[dtype][1] for dtype, apart in difference.items()),
        copies_to_device=copies["to_device"],
        copies_to_host=copies["to_host"],
        host_ms=1000 * times.host,
        device_ms=1000 * times.device,
        images_per_second=batch_size / max(times),
        error="",
    )


def images(count: int) -> Views:
    """Return the first `count` training images of MNIST, or fewer if there are fewer."""
    data = load_dataset("mnist", None)
    return Views(data.train_images[:count], data.train_labels[:count], *mean_and_std(data.train_images[:count]))


def make(kind: str, backend: Backend, views: Views, dtype: str) -> Run:
    """Return a new training of the default recipe's networks, with the same weights on every backend."""
    recipe, rng = Recipe(), np.random.default_rng(0)
    shape, classes = views.images.shape[1:], 10
    views = replace(views, dtype=np.dtype(dtype).type)
    teacher = models.teacher(recipe.teacher.model, shape, classes, rng, 0.0).astype(dtype).to(backend)
    if kind == "teacher":
        return Run(teacher, views, Labels(), Plan(shards=1))
    student = models.mlp(shape, recipe.student.hidden, classes, rng).astype(dtype).to(backend)
    if kind == "student on labels":
        return Run(student, views, Labels(), Plan(shards=1))
    if kind == "student, live teacher":
        views = replace(views, augmentation=Augmentation(shift=1.0))
    objective = LogitObjective(SoftTargets(), teacher_for(teacher, views, map))
    return Run(student, views, objective, Plan(shards=1))


def losses(run: Run, steps: int, batch_size: int) -> list[float]:
    """Take steps, and return their losses on the host."""
    return [float(take(run, step, batch_size)) for step in range(steps)]


def take(run: Run, step: int, batch_size: int) -> Scalar:
    """Take one step on the batch with this number. The loss stays on its device."""
    index = np.random.default_rng((1, step)).permutation(len(run.views))[:batch_size]
    run.position.step = step
    return loop.step(run, index, 1e-3).loss
