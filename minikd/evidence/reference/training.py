"""Twenty steps of the whole job on both sides: a CNN teacher on labels, then an MLP student that distills it.

minikd's side is `training.fit`, the loop of every run; PyTorch has a separate loop. Both start from the same weights
and see the same batches. Each distills the teacher that it trained itself. So this compares all parts together: layers,
losses, gradients, clipping, optimiser, schedule.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from minikd.data import Batch, Views, epoch_order
from minikd.distillation.teacher import LiveTeacher
from minikd.evidence.reference.build import to_torch
from minikd.evidence.reference.rows import DTYPES, TIGHT, Comparison, compare
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.training import Callback, Plan, fit
from minikd.training.loop import StepResult
from minikd.training.run import Run
from minikd.typing import Floats, Scalar

if TYPE_CHECKING:
    import torch

STEPS, BATCH = 20, 16
PEAK, MAX_NORM = 2e-3, 1.0
WEIGHT_DECAY = 1e-4
TEMPERATURE, ALPHA = 4.0, 0.9

FLOAT32 = 2e-2
"""The bound for losses and weights in float32. Most seeds reach 1e-4. In one seed of ten, rounding decides which of two
nearly equal pixels is the maximum of a pooling window, or whether a unit near zero is active. A tiny gradient then
differs, and Adam turns it into a step of the size of the learning rate. So weights are measured on the scale of the
model's largest weight."""


@dataclass(frozen=True)
class TrainingRun:
    """The result of twenty steps: the loss of each step, and the trained weights."""

    losses: Floats
    weights: Mapping[str, Floats]


def training_rows(rng: np.random.Generator) -> Iterator[Comparison]:
    """Yield, for teacher and student, the rows of the losses of all steps and of every weight at the end."""
    models = teacher(rng), student(rng)
    pixels = rng.integers(0, 256, (STEPS * BATCH, 1, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, STEPS * BATCH)
    for dtype in DTYPES:
        pair = models[0].astype(dtype), models[1].astype(dtype)
        twins = to_torch(pair[0]).train(), to_torch(pair[1]).train()
        views = Views(pixels, labels, (0.5,), (0.29,), dtype=np.dtype(dtype).type)
        ours = train_ours(*pair, views)
        batches = [views.batch(0, index) for index in epoch_order(len(views), BATCH, 0, 0)]
        theirs = train_theirs(*twins, batches)
        for name, mine, reference in zip(("teacher", "student"), ours, theirs, strict=True):
            title = f"{STEPS} steps of the {name}"
            bound = TIGHT if dtype == "float64" else FLOAT32
            yield from compare(title, dtype, {"losses": mine.losses}, {"losses": reference.losses}, bound)
            if dtype == "float64":
                yield from compare(title, dtype, mine.weights, reference.weights, bound)
            else:
                yield from compare(title, dtype, joined(mine.weights), joined(reference.weights), bound)


def joined(weights: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return all weights as one array, in the order of their names."""
    return {"all weights": np.concatenate([weights[name].ravel() for name in sorted(weights)])}


def teacher(rng: np.random.Generator) -> Sequential:
    """Return the CNN: 28x28 grey images, 421,642 parameters."""
    return Sequential(
        Conv2d(1, 32, 3, rng, padding=1),
        MaxPool2d(2),
        ReLU(),
        Conv2d(32, 64, 3, rng, padding=1),
        MaxPool2d(2),
        ReLU(),
        Flatten(),
        Linear(64 * 7 * 7, 128, rng),
        ReLU(),
        Linear(128, 10, rng),
    )


def student(rng: np.random.Generator) -> Sequential:
    """Return the feed-forward network 784-128-10, 101,770 parameters."""
    return Sequential(Flatten(), Linear(784, 128, rng), ReLU(), Linear(128, 10, rng))


class Losses(Callback):
    """Collects the loss of each step."""

    def __init__(self) -> None:
        self.losses: list[Scalar] = []

    def on_step(self, run: Run, taken: StepResult) -> None:
        self.losses.append(taken.loss)


def train_ours(teacher: Sequential, student: Sequential, views: Views) -> tuple[TrainingRun, TrainingRun]:
    """Train both models with minikd, in place."""
    plan = Plan(epochs=1, batch_size=BATCH, learning_rate=PEAK, schedule="one_cycle", clip_norm=MAX_NORM, shards=1)
    sgd = replace(plan, optimizer="nesterov", momentum=0.9, weight_decay=WEIGHT_DECAY)
    runs = []
    for model, objective, how in (
        (teacher, Labels(), plan),
        (student, LogitObjective(SoftTargets(TEMPERATURE, ALPHA), LiveTeacher(teacher)), sgd),
    ):
        seen = Losses()
        fit(model, views, objective, how, [seen])
        runs.append(TrainingRun(np.array(seen.losses), model.state_dict()))
    return runs[0], runs[1]


def train_theirs(
    teacher: "torch.nn.Sequential", student: "torch.nn.Sequential", batches: Sequence[Batch]
) -> tuple[TrainingRun, TrainingRun]:
    """Train both models with PyTorch, in place."""
    import torch
    from torch.nn import functional as F

    x = [torch.from_numpy(np.ascontiguousarray(batch.images)) for batch in batches]
    numbers = [torch.from_numpy(batch.labels) for batch in batches]

    def on_labels(logits: "torch.Tensor", step: int) -> "torch.Tensor":
        return F.cross_entropy(logits, numbers[step])

    def on_teacher(logits: "torch.Tensor", step: int) -> "torch.Tensor":
        with torch.no_grad():
            target = F.log_softmax(teacher(x[step]) / TEMPERATURE, 1)
        soft = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="batchmean", log_target=True)
        return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * on_labels(logits, step)

    adam = torch.optim.Adam(teacher.parameters())
    first = walk_theirs(teacher, x, on_labels, adam)
    sgd = torch.optim.SGD(student.parameters(), lr=PEAK, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    return first, walk_theirs(student, x, on_teacher, sgd)


def walk_theirs(
    model: "torch.nn.Sequential",
    images: "Sequence[torch.Tensor]",
    loss_of: Callable[["torch.Tensor", int], "torch.Tensor"],
    optimizer: "torch.optim.Optimizer",
) -> TrainingRun:
    """Take twenty steps with PyTorch."""
    import torch

    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, STEPS, cycle_momentum=False)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model(images[step]), step)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach().numpy())
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    return TrainingRun(np.array(losses), weights)
