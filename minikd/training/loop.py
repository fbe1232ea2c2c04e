"""The training loop: `step` is one training step from top to bottom, `fit` takes the steps of all epochs.

The rest is in other files: `plan` has the settings, `run` the state of a training, `shards` the parts of a batch, and
`callbacks` history, checkpoints and progress.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minikd.backends import device_errors, module_of
from minikd.console.interrupts import stop_requests
from minikd.data import Views
from minikd.errors import Diverged
from minikd.nn import Sequential
from minikd.norms import clip_by_norm
from minikd.training.callbacks import Callback, Callbacks, History, SecondStage
from minikd.training.checkpoints import Row
from minikd.training.graph import StepTaker, own_stream
from minikd.training.objective import Answer, Objective, Step, add_up
from minikd.training.parallel import workers
from minikd.training.plan import Plan
from minikd.training.run import Run
from minikd.training.shards import BatchPart, Shard, cut, summed
from minikd.typing import Floats, Ints, Scalar

CHECK_EVERY = 50
"""After this many steps, the loss and the weights are checked again.

A device must wait at each check, so not every step is checked.
"""

QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""If a run diverges, `check_finite` says so once, with advice. NumPy's warnings from every layer are switched off."""


class Interrupted(KeyboardInterrupt):
    """Training was told to stop. It stopped between two steps, with a checkpoint on disk."""


class StepResult(NamedTuple):
    """A finished step: the batch's mean loss, its gradient before clipping, its shards and its number of images."""

    loss: Scalar
    gradient: Floats
    shards: Sequence[Shard]
    images: int


@QUIET
def step(run: Run, index: Ints, learning_rate: float) -> StepResult:
    """Take one training step on the samples at `index`.

    `gradient_of` computes the gradient of one shard of the batch. Several shards are computed on several threads. The
    threads can share the layers, because the layers are pure.
    """
    run.check_bound()
    network, objective, plan = run.network, run.objective, run.plan

    @QUIET  # each thread has its own setting
    def gradient_of(part: BatchPart) -> Shard:
        rng = run.rng(part.number)
        batch = run.batch(part.samples)
        logits, taps, cache = network.forward_with_taps(batch.images, objective.taps, True, rng)
        teacher = objective.teacher(batch)
        terms = objective.terms(Answer(logits, taps), teacher, batch, Step(run.progress, rng))
        loss, dlogits, dtaps, extra_grads = add_up(terms, logits, part.share)
        gradient = run.flat(extra_grads)
        network.parameter_gradients(dlogits, cache, dtaps, into=gradient[: network.size])
        return Shard(loss, gradient, cache, terms, part.share)

    shards = list(run.shard_map(gradient_of, cut(index, run.shards)))
    loss, gradient = summed(shards)
    clipped = clip_by_norm(gradient, plan.clip_norm)[0] if plan.clip_norm else gradient
    run.optimizer.step(run.vector, clipped, run.optimizer_state, learning_rate)
    if plan.max_norm:
        run.limit_norms()
    run.model.update_state(shards[0].cache)
    return StepResult(loss, gradient, shards, len(index))


@device_errors()
def fit(
    model: Sequential,
    views: Views,
    objective: Objective,
    plan: Plan,
    callbacks: Sequence[Callback] = (),
    threads: int | None = None,
) -> list[Row]:
    """Train `model` in place and return its history, with a row for each epoch.

    callbacks: history, checkpoint, progress bars, see `callbacks`. threads: by default all cores, or one on a device;
    their number changes no bit of the result. On a device, steps are CUDA graphs if possible, see `graph`. Ctrl-C,
    SIGTERM and SIGHUP stop training between two steps and raise `Interrupted`. Raises ConfigError if there are no
    images, and Diverged if the loss or a weight is no longer finite. The checkpoint then still holds the last good
    epoch.
    """
    run, given = Run(model, views, objective, plan), any(isinstance(one, History) for one in callbacks)
    hooks = Callbacks([*([] if given else [History()]), *callbacks, SecondStage()])
    on_host = module_of(model.vector) is np
    try:
        with workers(threads if on_host else 1) as run.threads, own_stream(on_host), stop_requests() as asked:
            hooks.on_start(run)
            graphs = StepTaker(run, step, callbacks)
            while run.position.epoch < plan.epochs:
                with run.summing():
                    for index in run.batches_left():
                        if asked():
                            break
                        hooks.on_step_start(run)
                        if graphs.reason:  # no graph on NumPy, or if a step needs the host
                            taken = step(run, index, run.schedule(run.position.step))
                            run.advance(taken.loss, taken.images)
                        else:
                            taken = graphs.take(index)
                        hooks.on_step(run, taken)
                        if run.position.step % CHECK_EVERY == 0:
                            check_finite(run)
                check_finite(run)
                if run.epoch_is_over:
                    hooks.on_epoch(run)
                if asked():  # also if the request came during the evaluation or the last batch
                    hooks.on_stop(run)
                    raise Interrupted(run.name)
    finally:
        run.release()
        hooks.on_end(run)
    return run.position.history


def check_finite(run: Run) -> None:
    """Raise Diverged if the sum of the losses so far, or a weight, is not finite."""
    # The loss of a step is computed with the weights before the step. So the new weights are checked separately.
    loss, position = float(run.loss_sum), run.position
    if math.isfinite(loss) and bool(module_of(run.vector).isfinite(run.vector).all()):
        return
    what = f"the loss became {loss}" if not math.isfinite(loss) else "a weight became NaN or infinite"
    raise Diverged(
        f"{run.name}: {what} in epoch {position.epoch + 1}, at or before step {position.step}, "
        f"learning rate {run.schedule(max(0, position.step - 1)):.2g}; lower the learning rate, or set clip_norm to 1"
    )
