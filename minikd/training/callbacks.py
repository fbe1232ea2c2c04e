"""Callbacks run around the steps of a training. History, checkpoints and progress bars are callbacks.

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
    from minikd.training.loop import StepResult
    from minikd.training.run import Run

MEASURE_EVERY = 50
"""Steps between two measurements of the loss terms. A device must wait at each measurement."""

SAVE_SECONDS = 10.0
"""A checkpoint is written at the end of an epoch if the last one is at least this many seconds old."""


class Callback:
    """The base of every callback: hooks that do nothing. `run` is the training at that moment, see `training.run`."""

    def on_start(self, run: "Run") -> None:
        """Called once, before the first step. It may change the run."""

    def on_step_start(self, run: "Run") -> None:
        """Called before each step."""

    def on_step(self, run: "Run", taken: "StepResult") -> None:
        """Called after each step, with its loss and gradient."""

    def on_epoch(self, run: "Run") -> None:
        """Called after each epoch. `run.position.history[-1]` is the epoch's row."""

    def on_stop(self, run: "Run") -> None:
        """Called between two steps if training was told to stop."""

    def on_end(self, run: "Run") -> None:
        """Called at the end of training, also after an error."""

    def note(self, text: str) -> None:
        """Called with a description of the present work while no step is taken."""


class Callbacks(Callback):
    """Several callbacks as one. Each hook calls the hooks of all, in order."""

    def __init__(self, all_: Sequence[Callback]) -> None:
        self.all = all_

    def on_start(self, run: "Run") -> None:
        for one in self.all:
            one.on_start(run)

    def on_step_start(self, run: "Run") -> None:
        for one in self.all:
            one.on_step_start(run)

    def on_step(self, run: "Run", taken: "StepResult") -> None:
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
    """Results of a model on a set that is not used for training."""

    accuracy: float
    nll: float
    evaluated_on: str


@dataclass
class History(Callback):
    """Adds a row for each epoch: loss, evaluation, speed, the loss terms (`telemetry`), and how steps were taken.

    name: the model's name in rows and messages. evaluate: measures the model after each epoch. record: gets all rows
    after each epoch, to write them to a file. If no history is given, `fit` puts one before the other callbacks.
    """

    name: str = "model"
    evaluate: Callable[[Sequential, Map], Evaluation] | None = None
    record: Callable[[list[Row]], None] | None = None

    def on_start(self, run: "Run") -> None:
        run.name = self.name

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def on_step(self, run: "Run", taken: "StepResult") -> None:
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
    """Makes a device take each step kernel by kernel, not as a CUDA graph, see `training.graph`. No bit changes."""


class SecondStage(Callback):
    """Restarts the optimiser when the second stage of an objective begins. The schedule restarts without a callback."""

    def on_step_start(self, run: "Run") -> None:
        if run.second and run.position.step == run.second:
            run.optimizer_state = run.optimizer.init(run.vector)


class Checkpoint(Callback):
    """Resumes from a file if it exists. Writes it at the end of an epoch after some seconds, and at a stop.

    To resume, give the model as it was before its first step. identity: everything that determines the bits of the
    result; by default the model, the views and the plan. A checkpoint with another identity is refused with a message
    that says what has changed.
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
