"""A training step as one CUDA graph: captured once for each batch size, then launched for every step.

A step of a small network consists of a few dozen kernels. The host needs more time to launch them one by one than the
device needs to run them. A graph is launched as a whole. The captured function is `loop.step` itself; its batches come
from the device (`feed`). The first two steps of each batch size run kernel by kernel, so that kernels are compiled and
memory is allocated. The third step is captured. A graph writes into the same arrays at each launch. So callbacks find
the values of the latest launch in the `StepResult` of the capture.

Steps that need the host run kernel by kernel: `reason` says why.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from minikd import optim
from minikd.backends import device_kernels, module_of
from minikd.console.notices import notice
from minikd.memory import in_words
from minikd.nn import Sequential
from minikd.nn.layer import Layer
from minikd.storage.reading import excerpt
from minikd.training.callbacks import Callback, NoGraph
from minikd.training.feed import Feed
from minikd.training.objective import Objective
from minikd.training.run import Run
from minikd.typing import Ints

if TYPE_CHECKING:
    from minikd.backends.cuda.graphs import Captured
    from minikd.training.loop import StepResult

SHARE = 0.5
"""The largest share of the device's free memory that the pixels may take. Training needs the rest."""

ONE_BY_ONE = 2
"""Steps of each batch size that run kernel by kernel before one is captured."""


class StepTaker:
    """Takes a run's steps, with `step` or as a graph of it. `reason` says why the steps are no graphs, or is ""."""

    def __init__(
        self, run: Run, step: Callable[[Run, Ints, float], "StepResult"], callbacks: Sequence[Callback]
    ) -> None:
        self.run, self.step = run, step
        self.reason = run.eager = reason_for_none(run, callbacks)
        self.seen: dict[int, int] = {}
        self.graphs: dict[int, Captured[StepResult]] = {}
        self.made_of: tuple[object, ...] = (None, None, None)
        if not self.reason and isinstance(run.optimizer, optim.SGD | optim.Adam):
            self.feed = run.feed = Feed(run, run.optimizer)
            run.optimizer = self.feed.optimizer

    def take(self, index: Ints) -> "StepResult":
        """Take the next step."""
        try:
            return self.take_from_feed(index)
        except Exception as error:  # any error: without a graph, the step works or has a clearer error
            self.give_up(error)
        taken = self.step(self.run, index, self.run.schedule(self.run.position.step))
        self.run.advance(taken.loss, taken.images)
        return taken

    def take_from_feed(self, index: Ints) -> "StepResult":
        """Take the next step with the feed's batch: at first kernel by kernel, then as a graph."""
        run, feed, length = self.run, self.feed, len(index)
        self.prepare(length)
        seen = self.seen.get(length, 0)
        if seen >= ONE_BY_ONE:
            graph = self.graphs.get(length) or self.captured(index)
            graph.launch()
            taken = graph.result
        else:
            taken = self.work(index)
            if seen == 0:
                feed.fill_tape(length)
        self.seen[length] = seen + 1
        run.optimizer_state["step"] += 1
        run.count(length)
        return taken

    def prepare(self, length: int) -> None:
        """Move the feed to the next step. Drop all graphs if the run has other arrays now."""
        run, feed = self.run, self.feed
        made_of = (run.network, run.vector, run.optimizer_state)
        if any(one is not other for one, other in zip(made_of, self.made_of, strict=True)):
            self.made_of = made_of
            self.seen, self.graphs, feed.tapes, feed.epoch = {}, {}, {}, -1
        if feed.epoch != run.position.epoch:
            feed.start_epoch()
        feed.length = length

    def work(self, index: Ints) -> "StepResult":
        """Launch the step's kernels; during a capture they become part of the graph."""
        taken = self.step(self.run, index, self.run.schedule(self.run.position.step))
        self.feed.count(taken.loss)
        return taken

    def captured(self, index: Ints) -> "Captured[StepResult]":
        """Capture the step for batches of this size."""
        made: Captured[StepResult] = device_kernels().captured(partial(self.work, index))
        self.graphs[len(index)] = made
        return made

    def give_up(self, error: Exception) -> None:
        """Take all further steps kernel by kernel."""
        self.reason = self.run.eager = f"{type(error).__name__}: {error}"
        notice(f"{self.run.name}: steps run one by one, not as a CUDA graph ({excerpt(error)})")
        self.run.feed, self.run.optimizer, self.graphs = None, self.feed.optimizer.rule, {}


def layers_of(network: Layer) -> Iterator[Layer]:
    """Yield all layers of a network, also those inside other layers."""
    for layer in network.layers if isinstance(network, Sequential) else ():
        yield from layers_of(layer)
    yield network


def reason_for_none(run: Run, callbacks: Sequence[Callback]) -> str:
    """Return why the steps of a run cannot be graphs, or "" if no reason is known."""
    if module_of(run.vector) is np:
        return "on NumPy there are no graphs"
    for callback in callbacks:
        if isinstance(callback, NoGraph):
            return "asked for by --no-graph"
        if type(callback).on_step_start is not Callback.on_step_start:
            return f"the callback {type(callback).__name__} has work before each step"
    kind = type(run.objective)
    if not kind.__module__.startswith("minikd.") and "eager" not in vars(kind):
        return Objective.eager  # a subclass from outside minikd must declare it
    if run.objective.eager:
        return run.objective.eager
    if not isinstance(run.optimizer, optim.SGD | optim.Adam):
        return f"the optimiser {type(run.optimizer).__name__} is not one of minikd's"
    labels, (classes,) = run.views.labels, run.model.output_shape(run.views.images.shape[1:])
    if (labels < 0).any():
        return "some images have no label"
    if (labels >= classes).any():
        return "some labels are beyond the model's classes"
    if foreign := next(
        (layer for layer in layers_of(run.network) if not type(layer).__module__.startswith("minikd.nn.")), None
    ):
        return f"the layer {type(foreign).__name__} is not one of minikd's, and a graph may not repeat its work"
    size = run.views.images.nbytes
    if size > device_kernels().free_bytes() * SHARE:
        return f"the images ({in_words(size)}) would fill too much of the device's memory"
    return ""


def own_stream(on_host: bool) -> AbstractContextManager[None]:
    """On a device, use a stream that can be captured."""
    where: AbstractContextManager[None] = nullcontext() if on_host else device_kernels().own_stream()
    return where
