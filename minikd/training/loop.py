"""The training loop: shuffle, step, evaluate, save; for any model and any objective.

One step cuts its batch into a fixed number of shards, computes each shard's gradient on a thread of its own (the layers
are pure, so threads share them), and adds the gradients in the order of the shards: the bits do not depend on the
number of threads. A layer or an objective that looks across the batch gets the batch whole.

What an objective has to train of its own (a regressor, a temperature) is trained in one vector with the model's
parameters: one optimiser's step, one norm to clip. The model has its own vector back when training ends.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from minikd import optim, schedules
from minikd.backends import device_errors, module_of
from minikd.console.interrupts import stop_requests
from minikd.data import Batch, Views, epoch_order
from minikd.errors import ConfigError, Diverged
from minikd.nn import Layer, Sequential
from minikd.nn.layer import Grads
from minikd.settings import LARGEST, brief, converted
from minikd.training import telemetry
from minikd.training.checkpoints import Length, Position, Row, load_checkpoint, save_checkpoint
from minikd.training.identity import identity_of
from minikd.training.objective import Objective, Step, add_up
from minikd.training.parallel import Map, workers
from minikd.training.telemetry import Sums
from minikd.typing import Array, Floats, Ints, Scalar

DROPOUT = 2**20
"""Seeds dropout's generators beside the seed and the step: beyond any epoch, which seeds the shuffles."""

LOOK_EVERY = 50
"""Steps between two looks at the loss, and at its terms: each look makes a device wait."""

EPOCHS = 10**9
"""The most epochs of a plan: so many steps can still be numbered."""

SAVE_SECONDS = 10.0
"""A checkpoint is written at the end of an epoch where the last is so old."""


QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""A run that diverges says so once, with advice (`Run.look`), and not in a flood of warnings from every layer."""


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    epochs: passes over the training set. batch_size: images a step. optimizer, schedule: names, see `optim.NAMES` and
    `schedules.NAMES`. learning_rate: the schedule's peak. warm_up: epochs of linear warm-up. momentum: for "sgd" and
    "nesterov". clip_norm: the largest gradient norm, 0 for no limit. max_norm: the largest
    length of a unit's incoming weights, 0 for no limit. shards: parts of a batch computed side by side.
    seed: of the shuffle and of dropout.
    """

    epochs: int = 5
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    warm_up: float = 0.0
    weight_decay: float = 0.0
    momentum: float = 0.9
    clip_norm: float = 0.0
    max_norm: float = 0.0
    shards: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        for one in fields(self):
            value = converted(one, given[one.name])
            if type(value) is not type(one.default):
                raise ConfigError(f"{one.name} is {brief(value)}, but must be of type {type(one.default).__name__}")
            object.__setattr__(self, one.name, value)
        for name, least in {"epochs": 1, "batch_size": 1, "shards": 1, "seed": 0}.items():
            value, most = getattr(self, name), EPOCHS if name == "epochs" else LARGEST
            if not least <= value <= most:
                raise ConfigError(f"{name} is {brief(value)}, but must be a whole number from {least} to {most:,}")
        for name in ("warm_up", "clip_norm", "max_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {brief(given[name])}, but must be finite and not negative")


class Watcher(Protocol):
    """Who is told how training goes: a progress bar, or nobody."""

    def start(self, name: str, epochs: int, images: int, position: Position) -> None: ...
    def step(self, images: int) -> None: ...
    def look(self, loss: float, learning_rate: float) -> None: ...
    def epoch(self, row: Row) -> None: ...
    def stop(self) -> None: ...
    def note(self, text: str) -> None: ...


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and stopped between two steps with a checkpoint on disk."""


@dataclass(frozen=True)
class Evaluation:
    """What a model gets right on a set kept out of training."""

    accuracy: float
    nll: float
    evaluated_on: str


@device_errors()
def fit(
    model: Sequential,
    views: Views,
    objective: Objective,
    plan: Plan,
    *,
    name: str = "model",
    evaluate: Callable[[Sequential, Map], Evaluation] | None = None,
    watcher: Watcher | None = None,
    checkpoint: Path | None = None,
    after_epoch: Callable[[list[Row]], None] | None = None,
    settings: Mapping[str, object] | None = None,
    threads: int | None = None,
) -> list[Row]:
    """Train `model` in place and return its history, a row for each epoch.

    With `checkpoint` the run goes on from that file where it exists, writes it every few seconds at an epoch's end and
    when it is interrupted (Ctrl-C, SIGTERM, SIGHUP), which raises `Interrupted`. To go on, give the model as it was
    before its first step: a checkpoint of other first weights, another plan, model or data is refused, and of other
    `settings`: what else decides the result, such as the loss's constants.
    Raises `Diverged` where the loss or a weight is no longer finite; the checkpoint then still holds the last good
    epoch. `threads` (default: all cores) decide how long it takes and not a bit of the result; where a device does the
    work there is one.
    """
    if not len(views):
        raise ConfigError("there are no training images: validation takes them all; hold out fewer")
    identity = identity_of(name, model, views, asdict(plan), settings or {}) if checkpoint else ""
    run = Run(model, views, objective, plan, name)
    position = Position()
    try:
        if checkpoint is not None and checkpoint.exists():
            length = Length(plan.epochs, len(views), plan.batch_size)
            position = load_checkpoint(checkpoint, run.state, identity, length)
        if watcher:
            watcher.start(name, plan.epochs, len(views), position)
        with workers(1 if module_of(model.vector) is not np else threads) as map_, stop_requests() as asked:
            saved = time.monotonic()
            while position.epoch < plan.epochs:
                if run.epoch(position, map_, asked, watcher):
                    row = run.end_epoch(position, evaluate(model, map_) if evaluate else None)
                    if watcher:
                        watcher.epoch(row)
                    if after_epoch:
                        after_epoch(position.history)
                stop = asked()  # also where it was asked for during the evaluation, or the very last batch
                if checkpoint is not None and (stop or time.monotonic() - saved > SAVE_SECONDS):
                    save_checkpoint(checkpoint, run.state, position, identity)
                    saved = time.monotonic()
                if stop:
                    raise Interrupted(name)
    finally:
        run.release()
        if watcher:
            watcher.stop()
    return position.history


class Shard(NamedTuple):
    """A shard's part of its batch's mean loss and gradient, its forward pass's cache, and what telemetry has seen."""

    loss: Scalar
    gradient: Floats
    cache: object
    seen: Sums


class Run:
    """One model's training: what stays the same from step to step."""

    def __init__(self, model: Sequential, views: Views, objective: Objective, plan: Plan, name: str) -> None:
        self.model, self.views, self.objective, self.plan, self.name = model, views, objective, plan, name
        steps_an_epoch = math.ceil(len(views) / plan.batch_size)
        self.total, self.warm_up = steps_an_epoch * plan.epochs, round(plan.warm_up * steps_an_epoch)
        self.second = bisect_left(range(self.total), objective.second_stage_start, key=self.progress) % self.total
        self.schedule = self.schedule_of(self.total - self.second)
        if self.second:
            self.schedule = schedules.in_turn(self.schedule_of(self.second), self.schedule, self.second)
        self.optimizer = optim.build(plan.optimizer, plan.weight_decay, plan.momentum)
        on_host = module_of(model.vector) is np
        self.shards = plan.shards if on_host and not (model.across_batch or objective.across_batch) else 1
        self.vector = self.models_own = model.vector
        self.parts: list[tuple[Layer, Floats]] = [(model, self.vector)]
        if objective.extra_parameters.size:
            self.join()
        self.optimizer_state = self.optimizer.init(self.vector)

    def progress(self, step: int) -> float:
        """Return how far the run is at a step: 0 at the first, 1 at the last."""
        return step / max(1, self.total - 1)

    def schedule_of(self, steps: int) -> schedules.Schedule:
        """Return the plan's schedule for so many steps: all of them, or a stage's."""
        return schedules.build(self.plan.schedule, self.plan.learning_rate, steps, min(self.warm_up, steps))

    def join(self) -> None:
        """Lay the model's parameters and the objective's into one vector, the one that is trained."""
        own = self.objective.extra_parameters
        parts = [self.models_own, *(value.ravel() for value in own.params.values())]
        self.vector = module_of(self.models_own).concatenate(parts)
        self.parts = [(self.model, self.vector[: self.model.size]), (own, self.vector[self.model.size :])]
        for layer, part in self.parts:
            layer.bind(part)

    def check_bound(self) -> None:
        """Refuse to go on where what is trained is no longer in the vector that is trained."""
        same = self.objective.extra_parameters is self.parts[-1][0] or not self.objective.extra_parameters.size
        if not same or not all(layer.bound_to(part) for layer, part in self.parts):
            raise ConfigError(
                f"{self.name}: its parameters, or the objective's, were put into another vector while they were "
                "trained, as by making a chain of the model; give such a chain a copy: model.copy()"
            )

    def release(self) -> None:
        """Give the model its own vector back, with the values of now."""
        if self.vector is not self.models_own:
            self.models_own[...] = self.model.vector
            self.model.bind(self.models_own)

    @property
    def state(self) -> dict[str, Array]:
        """All arrays that training changes, by name: the model's, the objective's, the optimiser's."""
        parts: dict[str, Mapping[str, Array]] = {
            "model": self.model.state_dict(),
            "objective": self.objective.extra_parameters.params,
            "optimizer": self.optimizer_state,
        }
        return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}

    def epoch(self, position: Position, map_: Map, asked: Callable[[], bool], watcher: Watcher | None) -> bool:
        """Run the rest of the epoch at `position`; False where a stop was asked for before its end."""
        batches = epoch_order(len(self.views), self.plan.batch_size, self.plan.seed, position.epoch)
        total = module_of(self.vector).asarray(position.loss_sum)  # float64, on the device
        begin = time.perf_counter()
        for index in batches[position.batch :]:
            if asked():
                break
            lr = self.schedule(position.step)
            look = position.batch % LOOK_EVERY == 0
            total = total + self.step(position, index, lr, map_, look) * len(index)
            position.batch, position.step = position.batch + 1, position.step + 1
            position.images += len(index)
            if watcher:
                watcher.step(len(index))
            if position.step % LOOK_EVERY == 0:
                self.look(position, float(total), lr, watcher)
        position.seconds += time.perf_counter() - begin
        position.loss_sum = float(total)
        self.look(position, position.loss_sum, self.schedule(max(0, position.step - 1)), watcher)
        return position.batch == len(batches)

    @QUIET
    def step(self, position: Position, index: Ints, lr: float, map_: Map, look: bool = False) -> Scalar:
        """Take one step on the samples at `index`, and return their mean loss; `look` adds it to the telemetry."""
        self.check_bound()
        parts = np.array_split(index, min(self.shards, len(index)))
        shards = list(map_(lambda k: self.shard(position, k, parts[k], len(index), look), range(len(parts))))
        loss, gradient, cache, _ = shards[0]
        for other in shards[1:]:
            loss = loss + other.loss
            gradient += other.gradient
        if look:
            telemetry.add_to(position.telemetry, [shard.seen for shard in shards])
        if self.plan.clip_norm:
            gradient, _ = optim.clip_by_norm(gradient, self.plan.clip_norm)
        if self.second and position.step == self.second:
            self.optimizer_state = self.optimizer.init(self.vector)
        self.optimizer.step(self.vector, gradient, self.optimizer_state, lr)
        if self.plan.max_norm:
            for value in self.model.params.values():
                if value.ndim > 1:  # a bias is no unit's incoming weight
                    optim.limit_weights(value, self.plan.max_norm)
        self.model.update_state(cache)
        return loss

    @QUIET
    def shard(self, position: Position, k: int, index: Ints, batch_size: int, look: bool = False) -> Shard:
        """Compute shard k of a batch: these samples of `batch_size`."""
        rng = np.random.default_rng((self.plan.seed, DROPOUT, position.step, k))
        batch = self.views.batch(position.epoch, index)
        on_device = Batch(index, module_of(self.vector).asarray(batch.images), batch.labels)
        logits, taps, cache = self.model.forward_with_taps(on_device.images, self.objective.taps, True, rng)
        terms = self.objective(logits, taps, on_device, Step(self.progress(position.step), rng))
        share = len(index) / batch_size  # a term is a mean over the shard, the step wants the mean over the batch
        loss, dlogits, dtaps, extra_grads = add_up(terms, logits, share)
        gradient = self.model.flat_gradient(self.model.parameter_gradients(dlogits, cache, dtaps))
        if self.objective.extra_parameters.size or extra_grads:
            gradient = self.with_extra(gradient, extra_grads)
        return Shard(loss, gradient, cache, telemetry.sums_of(terms, share) if look else {})

    def with_extra(self, gradient: Floats, grads: Grads) -> Floats:
        """Return the model's gradient with the objective's behind it, as in the vector; 0 for what has none."""
        xp, params = module_of(gradient), self.objective.extra_parameters.params
        if not grads.keys() <= params.keys():
            raise ConfigError(f"the objective has gradients by {list(grads)}, but trains {list(params) or 'nothing'}")
        own = [grads.get(name, xp.zeros_like(value)).ravel() for name, value in params.items()]
        whole: Floats = xp.concatenate([gradient, *own])
        return whole

    def look(self, position: Position, loss_sum: float, lr: float, watcher: Watcher | None) -> None:
        """Look at the loss so far and the weights: stop where one is not a number, and tell the watcher."""
        # The loss of a step is that of the weights before it: where the step broke them, no loss tells of it yet.
        healthy = math.isfinite(loss_sum) and bool(module_of(self.vector).isfinite(self.vector).all())
        if not healthy:
            what = f"the loss became {loss_sum}" if not math.isfinite(loss_sum) else "a weight became NaN or infinite"
            raise Diverged(
                f"{self.name}: {what} in epoch {position.epoch + 1}, at or before step {position.step}, "
                f"learning rate {lr:.2g}; lower the learning rate, or set clip_norm to 1"
            )
        if watcher and position.images:
            watcher.look(loss_sum / position.images, lr)

    def end_epoch(self, position: Position, seen: Evaluation | None) -> Row:
        """Write the epoch's row and move the position to the next epoch."""
        row: Row = {
            "model": self.name,
            "epoch": position.epoch + 1,
            "loss": position.loss_sum / position.images,
            "accuracy": seen.accuracy if seen else math.nan,
            "nll": seen.nll if seen else math.nan,
            "evaluated_on": seen.evaluated_on if seen else "",
            "learning_rate": self.schedule(position.step - 1),
            "images_per_second": position.images / position.seconds,
            "seconds": position.seconds,
            **telemetry.means(position.telemetry),
        }
        position.history.append(row)
        position.epoch, position.batch, position.images = position.epoch + 1, 0, 0
        position.loss_sum, position.seconds, position.telemetry = 0.0, 0.0, {}
        return row
