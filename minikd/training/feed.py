"""Puts what a run's steps need on a device: pixels and labels once, and for each epoch what differs between its steps.

The order of an epoch, the optimiser's numbers and the random numbers of its steps are known before its first step. Then
they are put on the device. Kernels find their part by two counters, which are on the device too. So each step does the
same work and copies nothing, and it can be captured as a graph.
"""

from typing import TYPE_CHECKING, cast

import numpy as np

from minikd.backends import device_kernels, module_of
from minikd.data import Batch, Views, epoch_order
from minikd.data.augment import motion, noise_strength, smoothing
from minikd.data.draws import keys
from minikd.optim import SGD, Adam, State
from minikd.training.tape import Tape
from minikd.typing import Array, Floats, Scalar

if TYPE_CHECKING:
    from minikd.backends.cuda.augment import Variation
    from minikd.training.run import Run


class Feed:
    """Returns the next batch of a run and its random numbers, and counts the steps, all on the run's device."""

    def __init__(self, run: "Run", rule: SGD | Adam) -> None:
        self.run, views, xp = run, run.views, module_of(run.vector)
        self.xp, self.kernels = xp, device_kernels()
        self.epoch, self.length = -1, 0
        pixels, labels = xp.asarray(views.images), xp.asarray(views.labels.astype(np.int64))
        self.order, self.counter = xp.empty(len(views), np.int64), xp.zeros(2, np.int64)
        scale, shift = map(xp.asarray, views.scale_and_shift)
        self.stored = self.kernels.Stored(pixels, labels, self.order, self.counter, scale, shift)
        self.variation = self.variation_of(views)
        self.table: Floats = xp.empty((run.batches, 5), run.vector.dtype)
        self.loss_sum: Floats = xp.zeros(())
        self.tapes: dict[int, Tape] = {}
        self.optimizer = TableOptimizer(rule, self)

    def batch(self) -> Batch:
        """Return the next batch."""
        if self.variation is None:
            return Batch(*self.kernels.batch(self.stored, self.length))
        return Batch(*self.kernels.varied_batch(self.stored, self.variation, self.length))

    def variation_of(self, views: Views) -> "Variation | None":
        """Return arrays on the device for the augmentation of an epoch's samples, or None without augmentation."""
        wanted, xp = views.augmentation, self.xp
        if wanted is None or not wanted.active:
            return None
        rows = columns = xp.empty(0, np.float32)
        if wanted.elastic:
            rows, columns = (xp.asarray(smoothing(side, wanted.elastic_smoothing)) for side in views.images.shape[2:])
        motion, key = xp.empty((len(views), 4), np.float32), xp.empty(1, np.uint64)
        variation: Variation = self.kernels.Variation(motion, key, rows, columns, noise_strength(wanted.elastic))
        return variation

    def rng(self) -> np.random.Generator:
        """Return a replacement for the random generator of the next step."""
        tape = self.tapes.get(self.length)
        if tape is not None:
            return tape.play()
        first = 0 if self.length == self.run.plan.batch_size else self.run.batches - 1
        tape = self.tapes[self.length] = Tape(self.counter, first)
        return tape.watch(self.run.rng_at(self.run.position.step, 0))

    def count(self, loss: Scalar) -> None:
        """Count a finished step."""
        self.kernels.count(loss, self.length, self.loss_sum, self.counter)

    def start_epoch(self) -> None:
        """Put on the device what the present epoch needs, from the next batch on."""
        position, size = self.run.position, self.run.plan.batch_size
        self.epoch = position.epoch
        order = epoch_order(len(self.run.views), size, self.run.plan.seed, position.epoch)
        self.put(self.order, np.concatenate(order))
        self.put(self.counter, np.array([position.batch * size, position.batch]))
        self.draw_motions()
        self.loss_sum[...] = cast(Floats, self.run.loss_sum)
        self.run.loss_sum = cast(Scalar, self.loss_sum)
        for length in self.tapes:
            self.fill_tape(length)
        self.fill_table()

    def draw_motions(self) -> None:
        """Draw each sample's motion for the epoch."""
        views = self.run.views
        if self.variation is not None and views.augmentation is not None:
            for_motion, for_elastic = keys(views.seed, self.epoch, 2)
            self.put(self.variation.motion, motion(views.augmentation, for_motion, np.arange(len(views))))
            self.put(self.variation.key, np.array([for_elastic]))

    def fill_tape(self, length: int) -> None:
        """Draw the random numbers for the epoch's steps with this number of samples."""
        tape, first = self.tapes[length], self.run.position.step - self.run.position.batch
        batches = self.run.batches
        whole = len(self.run.views) // self.run.plan.batch_size
        rows = range(whole) if tape.first == 0 else range(batches - 1, batches)
        tape.fill(self.run.rng_at(first + row, 0) for row in rows)

    def fill_table(self) -> None:
        """Put the optimiser's numbers for the rest of the epoch on the device."""
        run = self.run
        step, batch, taken = run.position.step, run.position.batch, int(run.optimizer_state["step"])
        rows = np.zeros((run.batches, 5))
        for i in range(run.batches - batch):
            rows[batch + i] = self.optimizer.rule.numbers(taken + i + 1, run.schedule(step + i), run.vector)
        self.put(self.table, rows.astype(self.table.dtype))

    def put(self, there: Array, values: Array) -> None:
        """Copy values from the host into an array whose address does not change, because graphs read it."""
        there[...] = self.xp.asarray(values)


class TableOptimizer:
    """An optimiser that reads its numbers, also the learning rate, from the feed's table, not from arguments."""

    def __init__(self, rule: SGD | Adam, feed: Feed) -> None:
        self.rule, self.feed = rule, feed

    def init(self, params: Floats) -> State:
        """Return the optimiser's state before its first step."""
        return self.rule.init(params)

    def step(self, params: Floats, grads: Floats, state: State, lr: float) -> None:
        """Take the optimiser's step."""
        self.rule.step_by_table(params, grads, state, self.feed.kernels.Table(self.feed.table, self.feed.counter))
