"""A run: the state of a model's training between steps.

The extra parameters of an objective (a regressor, a learned temperature) are in one vector with the model's parameters.
So there is one step of the optimiser, and one norm to clip. When training ends, the model gets a separate vector again.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minikd import optim, schedules
from minikd.backends import module_of
from minikd.data import Batch, Views, epoch_order
from minikd.errors import ConfigError
from minikd.nn import Layer, Sequential
from minikd.nn.layer import Grads
from minikd.norms import limit_weights
from minikd.training.checkpoints import Position, Row
from minikd.training.feed import Feed
from minikd.training.objective import Objective
from minikd.training.parallel import Map
from minikd.training.plan import Plan
from minikd.typing import Array, Floats, Ints, Scalar

DROPOUT = 2**20
"""The purpose in the seeds of dropout's generators.

It is larger than any epoch, which is the purpose of the shuffles.
"""


class Run:
    """One model's training.

    model: the trained model. network: the network for the forward and backward passes; it is the model, unless a
    callback replaces it by a network with the same layers, such as a copy with rounded weights. vector: all trained
    parameters, of the model and of the objective. position: the position in the run. shards: the number of parts of a
    batch; one if a layer or the objective compares samples, or on a device. second: the step at which a second stage
    begins; 0 without one. threads: a `map` on threads, set by `fit`. feed: gives batches and random numbers on the
    device if steps are graphs, see `training.graph`. eager: why they are not graphs, or "".
    """

    def __init__(self, model: Sequential, views: Views, objective: Objective, plan: Plan) -> None:
        if not len(views):
            raise ConfigError("there are no training images: validation takes them all; hold out fewer")
        self.model = self.network = model
        self.views, self.objective, self.plan = views, objective, plan
        self.name, self.position = "model", Position()
        self.threads: Map = map
        self.feed: Feed | None = None
        self.eager = ""
        self.batches = math.ceil(len(views) / plan.batch_size)
        self.steps, self.warm_up = self.batches * plan.epochs, round(plan.warm_up * self.batches)
        start = objective.second_stage_start
        self.second = bisect_left(range(self.steps), start, key=self.progress_at) % self.steps
        self.schedule = self.schedule_of(self.steps - self.second)
        if self.second:
            self.schedule = schedules.in_turn(self.schedule_of(self.second), self.schedule, self.second)
        self.optimizer = optim.build(plan.optimizer, plan.weight_decay, plan.momentum)
        on_host = module_of(model.vector) is np
        self.shards = plan.shards if on_host and not (model.across_batch or objective.across_batch) else 1
        self.vector = self.models_own = model.vector
        self.loss_sum: Scalar = module_of(model.vector).zeros(())
        self.parts: list[tuple[Layer, Floats]] = [(model, self.vector)]
        if objective.extra_parameters.size:
            self.join()
        self.optimizer_state = self.optimizer.init(self.vector)

    def progress_at(self, step: int) -> float:
        """Return the progress at a step: 0 at the first step, 1 at the last."""
        return step / max(1, self.steps - 1)

    @property
    def progress(self) -> float:
        """The progress at the next step."""
        return self.progress_at(self.position.step)

    @property
    def shard_map(self) -> Map:
        """A `map` for shards. A single shard is computed by the caller."""
        return map if self.shards == 1 else self.threads

    @property
    def how_steps(self) -> str:
        """How steps are taken: on the "host", or on a device as a "graph" or "eager" (kernel by kernel)."""
        if module_of(self.vector) is np:
            return "host"
        return "eager" if self.eager else "graph"

    def schedule_of(self, steps: int) -> schedules.Schedule:
        """Return the plan's schedule for this many steps: those of the run, or those of a stage."""
        return schedules.build(self.plan.schedule, self.plan.learning_rate, steps, min(self.warm_up, steps))

    def batch(self, index: Ints) -> Batch:
        """Return the views of these samples in the present epoch, on the model's device."""
        if self.feed:
            return self.feed.batch()
        batch = self.views.batch(self.position.epoch, index)
        return Batch(index, module_of(self.vector).asarray(batch.images), batch.labels)

    def batches_left(self) -> list[Ints]:
        """Return the rest of the present epoch's batches, as sample numbers."""
        order = epoch_order(len(self.views), self.plan.batch_size, self.plan.seed, self.position.epoch)
        return order[self.position.batch :]

    def rng(self, shard: int) -> np.random.Generator:
        """Return the random generator of a shard of the next step, for dropout and for the objective."""
        return self.feed.rng() if self.feed else self.rng_at(self.position.step, shard)

    def rng_at(self, step: int, shard: int) -> np.random.Generator:
        """Return the random generator of a shard of any step."""
        return np.random.default_rng((self.plan.seed, DROPOUT, step, shard))

    def join(self) -> None:
        """Put the parameters of the model and of the objective into one vector, which is trained."""
        extra = self.objective.extra_parameters
        parts = [self.models_own, *(value.ravel() for value in extra.params.values())]
        self.vector = module_of(self.models_own).concatenate(parts)
        self.parts = [(self.model, self.vector[: self.model.size]), (extra, self.vector[self.model.size :])]
        for layer, part in self.parts:
            layer.bind(part)

    def flat(self, extra_grads: Grads) -> Floats:
        """Return a vector for the gradient.

        The objective's part is filled, with 0 where there is no gradient. The model's part is empty.
        """
        params = self.objective.extra_parameters.params
        if not extra_grads.keys() <= params.keys():
            raise ConfigError(
                f"the objective has gradients with respect to {list(extra_grads)}, but trains "
                f"{list(params) or 'nothing'}"
            )
        flat: Floats = module_of(self.vector).empty_like(self.vector)
        start = self.model.size
        for name, value in params.items():
            flat[start : start + value.size] = extra_grads[name].ravel() if name in extra_grads else 0
            start += value.size
        return flat

    def check_bound(self) -> None:
        """Raise an error if trained parameters are no longer in the vector that is trained."""
        extra = self.objective.extra_parameters
        same = extra is self.parts[-1][0] or not extra.size
        if not same or not all(layer.bound_to(part) for layer, part in self.parts):
            raise ConfigError(
                f"{self.name}: its parameters, or the objective's, were put into another vector during the training, "
                "for example by a chain of the model; give that chain a copy: model.copy()"
            )

    def release(self) -> None:
        """Give the model a separate vector again, with the present values."""
        if self.vector is not self.models_own:
            self.models_own[...] = self.model.vector
            self.model.bind(self.models_own)

    @property
    def state(self) -> dict[str, Array]:
        """All arrays that training changes, by name: those of the model, the objective and the optimiser."""
        parts: dict[str, Mapping[str, Array]] = {
            "model": self.model.state_dict(),
            "objective": self.objective.extra_parameters.params,
            "optimizer": self.optimizer_state,
        }
        return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}

    def limit_norms(self) -> None:
        """Limit the length of each unit's incoming weights to the plan's `max_norm`. Biases are not limited."""
        for value in self.model.params.values():
            if value.ndim > 1:
                limit_weights(value, self.plan.max_norm)

    @contextmanager
    def summing(self) -> Iterator[None]:
        """Add losses and seconds to those that the position already has for this epoch."""
        self.loss_sum = module_of(self.vector).asarray(self.position.loss_sum)  # float64, on the device
        begin = time.perf_counter()
        yield
        self.position.seconds += time.perf_counter() - begin
        self.loss_sum = self.position.loss_sum = float(self.loss_sum)  # one copy from a device

    @property
    def epoch_is_over(self) -> bool:
        """True if all batches of the epoch have been used."""
        return self.position.batch == self.batches

    def advance(self, loss: Scalar, images: int) -> None:
        """Count a finished step: add its mean loss over this many images."""
        self.loss_sum = self.loss_sum + loss * images
        self.count(images)

    def count(self, images: int) -> None:
        """Count a step over this many images, whose loss is already added."""
        self.position.batch, self.position.step = self.position.batch + 1, self.position.step + 1
        self.position.images += images

    def next_epoch(self, row: Row) -> None:
        """Add an epoch's row to the history, and go to the next epoch."""
        position = self.position
        position.history.append(row)
        position.epoch, position.batch, position.images = position.epoch + 1, 0, 0
        position.loss_sum, position.seconds, position.telemetry = 0.0, 0.0, {}
