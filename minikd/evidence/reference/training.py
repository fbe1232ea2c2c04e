"""Twenty steps of the whole job on both sides: a CNN teacher on labels, then an MLP student that distills it.

Both sides start from the same weights and see the same batches; each distills the teacher that it trained itself. So
every part is in it at once: layers, losses, gradients, clipping, optimiser, schedule.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minikd.evidence.reference.build import to_torch
from minikd.evidence.reference.rows import DTYPES, TIGHT, Row, compare
from minikd.losses import cross_entropy, distillation_loss
from minikd.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.optim import SGD, Adam, clip_by_norm
from minikd.schedules import one_cycle
from minikd.typing import Floats, Ints, Scalar

if TYPE_CHECKING:
    import torch

STEPS, BATCH = 20, 16
PEAK, MAX_NORM = 2e-3, 1.0
TEMPERATURE, ALPHA = 4.0, 0.9

FLOAT32 = 2e-2
"""What losses and weights must reach in float32. Most seeds reach 1e-4, but in one of ten rounding decides which of two
nearly equal pixels wins a pooling window, or whether a unit at zero is on; Adam then makes a whole step of the learning
rate out of the little gradient that differs. So weights are measured on the scale of the model's largest."""


@dataclass(frozen=True)
class Run:
    """What a side has after its twenty steps: the loss of each, and the trained weights."""

    losses: Floats
    weights: Mapping[str, Floats]


def training_rows(rng: np.random.Generator) -> Iterator[Row]:
    """Yield, for teacher and student, the rows of the losses along the way and of every weight at the end."""
    models = teacher(rng), student(rng)
    images = rng.random((STEPS, BATCH, 1, 28, 28))
    labels = rng.integers(0, 10, (STEPS, BATCH))
    for dtype in DTYPES:
        pair = models[0].astype(dtype), models[1].astype(dtype)
        twins = to_torch(pair[0]).train(), to_torch(pair[1]).train()
        ours = train_ours(*pair, images.astype(dtype), labels)
        theirs = train_theirs(*twins, images.astype(dtype), labels)
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


def train_ours(teacher: Sequential, student: Sequential, images: Floats, labels: Ints) -> tuple[Run, Run]:
    """Train both on minikd's side; the models are changed."""

    def on_labels(logits: Floats, step: int) -> tuple[Scalar, Floats]:
        return cross_entropy(logits, labels[step])

    def on_teacher(logits: Floats, step: int) -> tuple[Scalar, Floats]:
        return distillation_loss(logits, teacher(images[step]), labels[step], TEMPERATURE, ALPHA)

    first = walk_ours(teacher, images, on_labels, Adam())
    return first, walk_ours(student, images, on_teacher, SGD(momentum=0.9, nesterov=True, weight_decay=1e-4))


def walk_ours(
    model: Sequential, images: Floats, loss_of: Callable[[Floats, int], tuple[Scalar, Floats]], optimizer: SGD | Adam
) -> Run:
    """Take twenty steps with minikd."""
    state, schedule, losses = optimizer.init(model.vector), one_cycle(PEAK, STEPS + 1), []
    for step in range(STEPS):
        logits, caches = model.forward(images[step], training=True)
        loss, dlogits = loss_of(logits, step)
        grads, _ = clip_by_norm(model.flat_gradient(model.parameter_gradients(dlogits, caches)), MAX_NORM)
        optimizer.step(model.vector, grads, state, schedule(step))
        losses.append(loss)
    return Run(np.array(losses), model.state_dict())


def train_theirs(
    teacher: "torch.nn.Sequential", student: "torch.nn.Sequential", images: Floats, labels: Ints
) -> tuple[Run, Run]:
    """Train both on PyTorch's side; the models are changed."""
    import torch
    from torch.nn import functional as F

    x, numbers = torch.from_numpy(images), torch.from_numpy(labels)

    def on_labels(logits: "torch.Tensor", step: int) -> "torch.Tensor":
        return F.cross_entropy(logits, numbers[step])

    def on_teacher(logits: "torch.Tensor", step: int) -> "torch.Tensor":
        with torch.no_grad():
            target = F.log_softmax(teacher(x[step]) / TEMPERATURE, 1)
        soft = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="batchmean", log_target=True)
        return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * on_labels(logits, step)

    adam = torch.optim.Adam(teacher.parameters())
    first = walk_theirs(teacher, x, on_labels, adam)
    sgd = torch.optim.SGD(student.parameters(), lr=PEAK, momentum=0.9, nesterov=True, weight_decay=1e-4)
    return first, walk_theirs(student, x, on_teacher, sgd)


def walk_theirs(
    model: "torch.nn.Sequential",
    images: "torch.Tensor",
    loss_of: Callable[["torch.Tensor", int], "torch.Tensor"],
    optimizer: "torch.optim.Optimizer",
) -> Run:
    """Take twenty steps with PyTorch."""
    import torch

    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, STEPS + 1, cycle_momentum=False)
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
    return Run(np.array(losses), weights)
