"""Progress bars on the terminal, for a model and for the whole job, with the time left; and a line for each epoch."""

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Never

from minikd.console.layout import columns
from minikd.console.terminal import one_line, say, standard_error, watched
from minikd.distillation.results import name_of
from minikd.training.callbacks import Callback
from minikd.training.checkpoints import Row

if TYPE_CHECKING:
    from tqdm import tqdm

    from minikd.training.loop import StepResult
    from minikd.training.run import Run

LINES = 10
"""About this many epochs of a model get a line. A long training prints a line for every n-th epoch only."""

FORMATS = {
    60: "{desc} {percentage:3.0f}% {remaining}{postfix}",
    80: "{desc} {percentage:3.0f}%|{bar:8}| {remaining} left{postfix}",
    95: "{desc} {percentage:3.0f}%|{bar:8}| {remaining} left{postfix}, {rate_fmt}",
}
"""The part of a bar's line about a model, by the columns that it takes.

The line also has a part about the whole job.
"""

JOB = 4
"""Characters of the whole job's bar."""

OFTEN = 0.1
"""Seconds between two drawings."""


class Bars(Callback):
    """Progress bars on standard error."""

    def __init__(self) -> None:
        self.bar: tqdm[Never] | None = None
        self.epochs, self.out = 1, standard_error()
        self.job, self.told = JobProgress({}), 0.0

    def plan(self, work: Mapping[str, float]) -> None:
        """Record the job's stages in order, with the work of each in any unit.

        They give the time left of the whole job.
        """
        self.job = JobProgress(work)

    def on_start(self, run: "Run") -> None:
        from tqdm import tqdm

        name, epochs, images, position = run.name, run.plan.epochs, len(run.views), run.position
        self.epochs, self.out = epochs, standard_error()
        done, room = position.epoch * images + position.images, columns(self.out)
        self.job.begin(name, done / (epochs * images))
        self.bar = tqdm(
            desc=f"{name_of(name)} {position.epoch + 1}/{epochs}",
            total=epochs * images,
            initial=done,
            unit=" images",
            unit_scale=True,
            bar_format=FORMATS[max(least for least in FORMATS if least <= room)],
            file=self.out,
            leave=False,
            dynamic_ncols=True,
            mininterval=OFTEN if watched() else 5.0,
        )

    def on_step(self, run: "Run", taken: "StepResult") -> None:
        if self.bar is None:
            return
        if time.monotonic() - self.told > OFTEN:
            self.told = time.monotonic()
            self.bar.set_postfix_str(self.job.text(self.bar.n / self.bar.total, self.bar.ascii), refresh=False)
        self.bar.update(taken.images)

    def on_epoch(self, run: "Run") -> None:
        if self.bar is None:
            return
        row = run.position.history[-1]
        number, name = int(row["epoch"]), name_of(str(row["model"]))
        self.bar.set_description_str(f"{name} {min(number + 1, self.epochs)}/{self.epochs}", refresh=False)
        if number == self.epochs or number % max(1, self.epochs // LINES) == 0:
            self.bar.write(epoch_line(row, self.epochs, columns(self.out)), file=self.out)

    def note(self, text: str) -> None:
        """Say what the job is doing while no bar moves."""
        say(one_line(text))

    def on_end(self, run: "Run") -> None:
        if self.bar is not None:
            self.bar.close()


class JobProgress:
    """The progress of the whole job, from the work of its stages.

    The work since this process began gives the time left.
    """

    def __init__(self, work: Mapping[str, float]) -> None:
        self.work, self.name = work, ""
        self.before, self.first, self.begun = 0.0, math.nan, 0.0

    def begin(self, name: str, fraction: float) -> None:
        """Begin a stage of which this fraction is already done. Stages that do not belong to the job are ignored."""
        self.name = name if name in self.work else ""
        if self.name:
            self.before = sum(self.work[one] for one in list(self.work)[: list(self.work).index(name)])
            if math.isnan(self.first):
                self.first, self.begun = self.before + fraction * self.work[name], time.monotonic()

    def text(self, fraction: float, plain: bool = False) -> str:
        """Return the job's progress from a stage's progress, as "job 12%|▌ | 2:31 left", or "" without a stage."""
        from tqdm.std import Bar

        total = sum(self.work.values())
        if not self.name or not total:
            return ""
        done = self.before + fraction * self.work[self.name]
        bar = format(Bar(done / total, JOB, Bar.ASCII if plain else Bar.UTF), "")
        return f"job {done / total:3.0%}|{bar}| {self.time_left(done, total)} left"

    def time_left(self, done: float, total: float) -> str:
        """Return the time left, or "?" before anything is done."""
        fresh = done - self.first
        return clock((total - done) * (time.monotonic() - self.begun) / fresh) if fresh > 0 else "?"


def clock(seconds: float) -> str:
    """Return 2:31 for 151 seconds, and for an hour or more 1:02:31."""
    minutes, rest = divmod(round(min(seconds, 359_999)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def epoch_line(row: Row, epochs: int, width: int) -> str:
    """Return an epoch's line, with as many numbers as fit into the width."""
    number = f"{row['epoch']:>{len(str(epochs))}}/{epochs}"
    name, loss = f"{name_of(str(row['model'])):17}", f"loss {row['loss']:.4f}"
    seen, speed = "", f"  {row['images_per_second']:,.0f} images/s"
    if row["evaluated_on"]:
        seen = f"  {row['evaluated_on']} accuracy {row['accuracy']:.2%}"
    for line in (f"{name}  epoch {number}  {loss}{seen}{speed}", f"{name}  epoch {number}  {loss}{seen}"):
        if len(line) <= width:
            return line
    return f"{name}  {number}  {loss}" + (f"  {row['evaluated_on']} {row['accuracy']:.1%}" if seen else "")
