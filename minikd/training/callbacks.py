"""Callbacks: what happens around the steps of a training. History, checkpoints and progress bars are callbacks.

class Patience(Callback):
    def on_epoch(self, run): ...

fit(model, views, objective, plan, [History("student"), Patience()])
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minikd.nn import Sequential
from minikd.training import telemetry
from minikd.training.checkpoints import Length, Row, load_checkpoint, save_checkpoint
from minikd.training.identity import identity_of
from minikd.training.parallel import Map

if TYPE_CHECKING:
    from minikd.training.loop import Taken
    from minikd.training.run import Run

MEASURE_EVERY = 50
"""Steps between two measurements of the loss's terms: each makes a device wait."""

SAVE_SECONDS = 10.0
"""A checkpoint is written at the end of an epoch where the last is so old."""


class Callback:
    """The base of every callback: hooks that do nothing. `run` is the training as it stands, see `training.run`."""

    def on_start(self, run: "Run") -> None:
        """Called once, before the first step. What a hook changes of the run counts from here on."""

    def on_step_start(self, run: "Run") -> None:
        """Called before each step."""

    def on_step(self, run: "Run", taken: "Taken") -> None:
        """Called after each step, with its loss and gradient."""

    def on_epoch(self, run: "Run") -> None:
        """Called after each epoch; `run.position.history[-1]` is its row."""

    def on_stop(self, run: "Run") -> None:
        """Called where training is asked to stop, between two steps."""

    def on_end(self, run: "Run") -> None:
        """Called at the end, also after an error."""

    def note(self, text: str) -> None:
        """Called with what is under way where no step is taken."""


class Callbacks(Callback):
    """Several callbacks as one: each hook calls theirs, in order."""

    def __init__(self, all_: Sequence[Callback]) -> None:
        self.all = all_

    def on_start(self, run: "Run") -> None:
        for one in self.all:
            one.on_start(run)

    def on_step_start(self, run: "Run") -> None:
        for one in self.all:
            one.on_step_start(run)

    def on_step(self, run: "Run", taken: "Taken") -> None:
        for one in self.all:
            one.on_step(run, taken)

    def on_epoch(self, run: "Run") -> None:
        for one in self.all:
            one.on_epoch(run)

    def on_stop(self, run: "Run") -> None:
        for one in self.all:
            one.on_stop(run)

    def on_end(self, run: "Run") -> None:
        for one in self.all:
            one.on_end(run)

    def note(self, text: str) -> None:
        for one in self.all:
            one.note(text)


@dataclass(frozen=True)
class Evaluation:
    """What a model gets right on a set kept out of training."""

    accuracy: float
    nll: float
    evaluated_on: str


@dataclass
class History(Callback):
    """Writes a row for each epoch: loss, evaluation, speed, the terms of the loss (`telemetry`), how steps were taken.

    name: of the model, in rows and messages. evaluate: measures the model after each epoch. record: takes all rows
    after each epoch, to write them to a file. `fit` puts a history before the other callbacks where none is given.
    """

    name: str = "model"
    evaluate: Callable[[Sequential, Map], Evaluation] | None = None
    record: Callable[[list[Row]], None] | None = None

    def on_start(self, run: "Run") -> None:
        run.name = self.name

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def on_step(self, run: "Run", taken: "Taken") -> None:
        if (run.position.batch - 1) % MEASURE_EVERY == 0:
            sums = [telemetry.sums_of(shard.terms, shard.share) for shard in taken.shards]
            telemetry.add_to(run.position.telemetry, sums)

    def on_epoch(self, run: "Run") -> None:
        seen, position = self.evaluate(run.model, run.threads) if self.evaluate else None, run.position
        row: Row = {
            "model": self.name,
            "epoch": position.epoch + 1,
            "loss": position.loss_sum / position.images,
            "accuracy": seen.accuracy if seen else math.nan,
            "nll": seen.nll if seen else math.nan,
            "evaluated_on": seen.evaluated_on if seen else "",
            "learning_rate": run.schedule(position.step - 1),
            "images_per_second": position.images / position.seconds,
            "seconds": position.seconds,
            **telemetry.means(position.telemetry),
            "steps": run.how_steps,
        }
        run.next_epoch(row)
        if self.record:
            self.record(run.position.history)


class NoGraph(Callback):
    """Has a device take each step kernel by kernel, and not as a CUDA graph, see `training.graph`. No bit changes."""


class SecondStage(Callback):
    """Starts the optimiser again where an objective's second stage begins; the schedule knows of it by itself."""

    def on_step_start(self, run: "Run") -> None:
        if run.second and run.position.step == run.second:
            run.optimizer_state = run.optimizer.init(run.vector)


class Checkpoint(Callback):
    """Goes on from a file where it exists, and writes it: every few seconds at an epoch's end, and at a stop.

    To go on, give the model as it was before its first step. identity: what decided the run's bits; by default the
    model, the views and the plan. A checkpoint of another identity is refused, with what has changed.
    """

    def __init__(self, path: Path, identity: str = "") -> None:
        self.path, self.identity, self.saved = path, identity, 0.0

    def on_start(self, run: "Run") -> None:
        self.saved = time.monotonic()
        self.identity = self.identity or identity_of(run.name, run.model, run.views, asdict(run.plan), {})
        if self.path.exists():
            length = Length(run.plan.epochs, len(run.views), run.plan.batch_size)
            run.position = load_checkpoint(self.path, run.state, self.identity, length)

    def on_epoch(self, run: "Run") -> None:
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.on_stop(run)

    def on_stop(self, run: "Run") -> None:
        save_checkpoint(self.path, run.state, run.position, self.identity)
        self.saved = time.monotonic()
