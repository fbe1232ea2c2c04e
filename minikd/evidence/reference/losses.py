"""Compares every loss and its gradient with torch.nn.functional and autograd."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from minikd.evidence.reference.rows import DTYPES, TIGHT, Comparison, compare
from minikd.losses import (
    cross_entropy,
    distillation_loss,
    kl_divergence,
    log_softmax,
    log_softmax_backward,
    mse,
    softmax,
    softmax_backward,
)
from minikd.typing import Floats, Ints, Scalar

if TYPE_CHECKING:
    import torch

FLOAT32 = 5e-6
"""The bound for a loss and its gradient in float32."""

OurLoss = Callable[[Floats], tuple[Scalar, Floats]]
TheirLoss = Callable[["torch.Tensor"], "torch.Tensor"]
LossPair = tuple[str, OurLoss, TheirLoss]


def loss_rows(rng: np.random.Generator) -> Iterator[Comparison]:
    """Yield a row for the value and the gradient of every loss, at ordinary logits and, in float64, at ±10⁴."""
    logits, teacher = 3 * rng.standard_normal((2, 7, 5))
    labels = rng.integers(0, 5, 7)
    for dtype in DTYPES:
        bound = TIGHT if dtype == "float64" else FLOAT32
        z, v = logits.astype(dtype), teacher.astype(dtype)
        for name, ours, theirs in [*label_losses(v, labels), *teacher_losses(v, labels)]:
            yield from pair_rows(name, ours, theirs, z, bound)
        yield from softmax_rows(z, v, bound)
    z, v = 1e4 * np.sign(logits), 1e4 * np.sign(teacher)
    for name, ours, theirs in [label_losses(v, labels)[0], *teacher_losses(v, labels)]:
        yield from pair_rows(f"{name}, logits ±1e4", ours, theirs, z, TIGHT)
    for temperature in (0.01, 1000.0):
        yield from pair_rows(*soft_targets(teacher, temperature), logits, TIGHT)


def label_losses(other: Floats, labels: Ints) -> list[LossPair]:
    """Return the losses with labels (class numbers, probabilities, both also smoothed) and the mean squared error."""
    import torch
    from torch.nn import functional as F

    numbers, target = torch.from_numpy(labels), torch.from_numpy(other)
    shares = softmax(other)
    soft = torch.from_numpy(shares)
    return [
        ("cross_entropy", lambda z: cross_entropy(z, labels), lambda z: F.cross_entropy(z, numbers)),
        (
            "cross_entropy, smoothed",
            lambda z: cross_entropy(z, labels, 0.1),
            lambda z: F.cross_entropy(z, numbers, label_smoothing=0.1),
        ),
        ("cross_entropy, probabilities", lambda z: cross_entropy(z, shares), lambda z: F.cross_entropy(z, soft)),
        (
            "cross_entropy, probabilities, smoothed",
            lambda z: cross_entropy(z, shares, 0.1),
            lambda z: F.cross_entropy(z, soft, label_smoothing=0.1),
        ),
        ("mse", lambda z: mse(z, other), lambda z: F.mse_loss(z, target)),
    ]


def teacher_losses(teacher: Floats, labels: Ints) -> list[LossPair]:
    """Return the losses with a teacher's logits, and the mix with a loss on labels."""
    soft = [soft_targets(teacher, temperature) for temperature in (1.0, 4.0)]
    return soft + [mix(teacher, labels, alpha) for alpha in (0.0, 0.3, 1.0)]


def mix(teacher: Floats, labels: Ints, alpha: float) -> LossPair:
    """Return the distillation loss at T = 4 on both sides."""
    import torch
    from torch.nn import functional as F

    numbers, (_, _, soft) = torch.from_numpy(labels), soft_targets(teacher, 4.0)
    return (
        f"distillation_loss, alpha {alpha:g}",
        lambda z: distillation_loss(z, teacher, labels, temperature=4.0, alpha=alpha),
        lambda z: alpha * soft(z) + (1 - alpha) * F.cross_entropy(z, numbers),
    )


def soft_targets(teacher: Floats, temperature: float) -> LossPair:
    """Return T² KL(teacher ‖ student) on both sides. In PyTorch, "batchmean" and T² must be written explicitly."""
    import torch
    from torch.nn import functional as F

    target = F.log_softmax(torch.from_numpy(teacher) / temperature, 1)

    def theirs(z: "torch.Tensor") -> "torch.Tensor":
        student = F.log_softmax(z / temperature, 1)
        return temperature**2 * F.kl_div(student, target, reduction="batchmean", log_target=True)

    return f"kl_divergence, T {temperature:g}", lambda z: kl_divergence(z, teacher, temperature), theirs


def pair_rows(name: str, ours: OurLoss, theirs: TheirLoss, logits: Floats, bound: float) -> list[Comparison]:
    """Return the rows of one loss: its value and its gradient with respect to the logits."""
    import torch

    loss, dlogits = ours(logits)
    leaf = torch.tensor(logits, requires_grad=True)
    value = theirs(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    found = {"loss": value.detach().numpy(), "dlogits": gradient.numpy()}
    return compare(name, str(logits.dtype), {"loss": np.asarray(loss), "dlogits": dlogits}, found, bound)


def softmax_rows(logits: Floats, upstream: Floats, bound: float) -> Iterator[Comparison]:
    """Yield the rows of softmax and log-softmax at T = 4, with their backward passes."""
    import torch

    for forward, backward, theirs in (
        (softmax, softmax_backward, torch.softmax),
        (log_softmax, log_softmax_backward, torch.log_softmax),
    ):
        y = forward(logits, 4.0)
        leaf = torch.tensor(logits, requires_grad=True)
        value = theirs(leaf / 4.0, 1)
        (gradient,) = torch.autograd.grad(value, leaf, torch.from_numpy(upstream))
        found = {"output": value.detach().numpy(), "dlogits": gradient.numpy()}
        ours = {"output": y, "dlogits": backward(upstream, y, 4.0)}
        yield from compare(f"{forward.__name__}, T 4", str(logits.dtype), ours, found, bound)
