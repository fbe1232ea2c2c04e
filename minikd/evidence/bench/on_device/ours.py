"""minikd's side on a device: a training step kernel by kernel and as a CUDA graph, and inference."""

from collections.abc import Callable, Iterator
from itertools import cycle

from minikd.backends import Backend
from minikd.evidence.bench.on_device.clock import Event, Microseconds, timed
from minikd.evidence.bench.ours import objective_of
from minikd.evidence.bench.works import LEARNING_RATE, Inference, Problem, TeacherAndStudent, TrainingStep
from minikd.evidence.gpu_check.device import marks
from minikd.training import loop
from minikd.training.graph import StepTaker, own_stream
from minikd.training.plan import Plan
from minikd.training.run import Run

DEVICE = Backend("cupy", "asked for by the benchmark")

Rows = Iterator[tuple[str, Microseconds]]
"""How the work was done, and its times."""


def our_times(problem: Problem, stage: TeacherAndStudent, batch: int, count: int) -> Rows:
    """Time `count` pieces of work in a row, in every way that minikd has."""
    with own_stream(False):
        if isinstance(problem, TrainingStep):
            yield "eager", eager(problem, stage, batch, count)
            yield "graph", graph(problem, stage, batch, count)
        else:
            yield "eager", inference(problem, stage, count)


def training(problem: TrainingStep, stage: TeacherAndStudent, batch: int) -> Run:
    """Return a training on the device."""
    plan = Plan(batch_size=batch, shards=1, learning_rate=LEARNING_RATE)
    return Run(problem.model.copy().to(DEVICE), stage.views, objective_of(problem, DEVICE), plan)


def eager(problem: TrainingStep, stage: TeacherAndStudent, batch: int, count: int) -> Microseconds:
    """Time steps whose kernels are launched one by one, from pixels on the host."""
    run = training(problem, stage, batch)
    batches = cycle(index for index in run.batches_left() if len(index) == batch)
    return timed(warm(lambda: loop.step(run, next(batches), LEARNING_RATE)), count, Event(*marks()), nothing)


def graph(problem: TrainingStep, stage: TeacherAndStudent, batch: int, count: int) -> Microseconds:
    """Time launches of a captured step, from pixels on the device."""
    run = training(problem, stage, batch)
    take, batches = StepTaker(run, loop.step, ()), [index for index in run.batches_left() if len(index) == batch]
    for index in batches[:3]:
        take.take(index)
    if take.reason:
        raise RuntimeError(take.reason)
    run.position.batch = run.position.step = 0
    return timed(take.graphs[batch].launch, min(count, len(batches)), Event(*marks()), take.feed.start_epoch)


def inference(problem: Inference, stage: TeacherAndStudent, count: int) -> Microseconds:
    """Time inference for images that are on the device."""
    model, images = problem.model.copy().to(DEVICE), DEVICE.put(stage.views.clean(slice(0, problem.images)))
    return timed(warm(lambda: model(images)), count, Event(*marks()), nothing)


def warm(work: Callable[[], object]) -> Callable[[], object]:
    """Do the work three times, so that kernels are compiled and memory is allocated, and return it."""
    for _ in range(3):
        work()
    return work


def nothing() -> None:
    """Do nothing before a burst."""
