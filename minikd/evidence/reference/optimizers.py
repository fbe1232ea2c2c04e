"""Compares every optimiser, gradient clipping and every schedule with torch.optim, over fifty steps."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from minikd.evidence.reference.rows import DTYPES, TIGHT, Comparison, compare
from minikd.norms import clip_by_norm
from minikd.optim import SGD, Adam, AdamW, Optimizer
from minikd.schedules import Schedule, constant, cosine, one_cycle, step_decay, warm_up
from minikd.typing import Floats

if TYPE_CHECKING:
    import torch

Torchs = Callable[..., "torch.optim.lr_scheduler.LRScheduler"]

STEPS = 50

FLOAT32 = 5e-6
"""The bound for the parameters in float32 after fifty steps, each of which rounds a dozen times."""


def optimizer_rows(rng: np.random.Generator) -> Iterator[Comparison]:
    """Yield the rows of every optimiser in its variants, and of clipping."""
    optimizers: list[tuple[str, Optimizer]] = [
        ("SGD", SGD()),
        ("SGD, weight decay", SGD(weight_decay=0.03)),
        ("SGD, momentum", SGD(momentum=0.9)),
        ("SGD, Nesterov, weight decay", SGD(momentum=0.9, nesterov=True, weight_decay=0.03)),
        ("Adam", Adam()),
        ("Adam, weight decay", Adam(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.03)),
        ("AdamW", AdamW(weight_decay=0.1)),
    ]
    for dtype in DTYPES:
        bound = TIGHT if dtype == "float64" else FLOAT32
        for name, optimizer in optimizers:
            yield from walk_rows(name, optimizer, rng, dtype, bound)
        yield from clip_rows(rng, dtype, bound)


def walk_rows(name: str, optimizer: Optimizer, rng: np.random.Generator, dtype: str, bound: float) -> list[Comparison]:
    """Take fifty steps with the same gradients on both sides and a falling learning rate."""
    import torch

    params = rng.standard_normal(97).astype(dtype)
    state = optimizer.init(params)
    leaf = torch.nn.Parameter(torch.tensor(params))
    theirs = in_torch(optimizer, leaf)
    for step in range(STEPS):
        grads, lr = rng.standard_normal(97).astype(dtype), 0.05 / (1 + step)
        optimizer.step(params, grads, state, lr)
        leaf.grad = torch.from_numpy(grads)
        theirs.param_groups[0]["lr"] = lr
        theirs.step()
    found = leaf.detach().numpy()
    return compare(name, dtype, {"parameters": params}, {"parameters": found}, bound)


def in_torch(optimizer: Optimizer, parameter: "torch.nn.Parameter") -> "torch.optim.Optimizer":
    """Return PyTorch's optimiser of the same name and settings."""
    import torch

    match optimizer:
        case SGD(momentum, nesterov, weight_decay):
            return torch.optim.SGD([parameter], momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
        case AdamW(betas, eps, weight_decay):
            return torch.optim.AdamW([parameter], betas=betas, eps=eps, weight_decay=weight_decay)
        case Adam(betas, eps, weight_decay):
            return torch.optim.Adam([parameter], betas=betas, eps=eps, weight_decay=weight_decay)
    raise TypeError(f"{optimizer!r} has no counterpart in PyTorch here; add one to reference/optimizers.py")


def clip_rows(rng: np.random.Generator, dtype: str, bound: float) -> list[Comparison]:
    """Return the rows of clipping by norm, with a gradient that is clipped."""
    import torch

    grads = rng.standard_normal(97).astype(dtype)
    leaf = torch.nn.Parameter(torch.tensor(grads))
    leaf.grad = torch.tensor(grads)
    norm = torch.nn.utils.clip_grad_norm_([leaf], 1.0).numpy()
    clipped, our_norm = clip_by_norm(grads, 1.0)
    ours, theirs = {"gradient": clipped, "norm": np.asarray(our_norm)}, {"gradient": leaf.grad.numpy(), "norm": norm}
    return compare("clip_by_norm", dtype, ours, theirs, bound)


def schedule_rows() -> Iterator[Comparison]:
    """Yield the rows of every schedule. Learning rates are Python floats, so there is no float32."""
    from torch.optim import lr_scheduler as torch_schedules

    pairs: list[tuple[str, Schedule, Torchs, dict[str, object]]] = [
        ("constant", constant(0.3), torch_schedules.ConstantLR, {"factor": 1.0}),
        ("step_decay", step_decay(0.3, 7, 0.5), torch_schedules.StepLR, {"step_size": 7, "gamma": 0.5}),
        ("cosine", cosine(0.3, STEPS, 0.02), torch_schedules.CosineAnnealingLR, {"T_max": STEPS, "eta_min": 0.02}),
        (
            "one_cycle",
            one_cycle(0.3, STEPS + 1),
            torch_schedules.OneCycleLR,
            {"max_lr": 0.3, "total_steps": STEPS + 1, "cycle_momentum": False},
        ),
        ("warm_up", warm_up(constant(0.3), 9), torch_schedules.LinearLR, {"start_factor": 0.1, "total_iters": 9}),
    ]
    for name, schedule, kind, options in pairs:
        ours, theirs = np.array([schedule(step) for step in range(STEPS)]), rates(kind, options)
        yield from compare(name, "float64", {"learning rates": ours}, {"learning rates": theirs}, TIGHT)


def rates(kind: Torchs, options: dict[str, object]) -> Floats:
    """Return the learning rates of PyTorch's schedule, starting from 0.3."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule, found = kind(optimizer, **options), []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(found)
