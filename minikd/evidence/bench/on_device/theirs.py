"""PyTorch's side on a device: the same work as PyTorch's users write it, each way also as a CUDA graph."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from minikd.evidence.bench.on_device.clock import Event, timed
from minikd.evidence.bench.on_device.ours import Rows, nothing
from minikd.evidence.bench.theirs import TorchSettings, has_convolution, twin_of
from minikd.evidence.bench.works import (
    ALPHA,
    LEARNING_RATE,
    TEMPERATURE,
    Inference,
    Problem,
    TeacherAndStudent,
    TrainingStep,
)
from minikd.nn import Sequential

if TYPE_CHECKING:
    import torch

CUDA = "cuda"


def settings_of(problem: Problem, compiled: bool) -> Iterator[TorchSettings]:
    """Yield the defaults and every combination that can matter; with `compiled`, only those of torch.compile."""
    teachers = (
        [problem.teacher] if isinstance(problem, TrainingStep) and isinstance(problem.teacher, Sequential) else []
    )
    orders = (False, True) if has_convolution(problem.model, *teachers) else (False,)
    fused = (False, True) if isinstance(problem, TrainingStep) else (False,)
    for channels_last in orders:
        for one in (True,) if compiled and True in fused else fused:
            yield TorchSettings(channels_last, fused=one, compiled=compiled)


def their_times(problem: Problem, stage: TeacherAndStudent, batch: int, count: int, settings: TorchSettings) -> Rows:
    """Time `count` pieces of work in a row: eagerly, and as a graph."""
    import torch

    work = (
        training(problem, stage, batch, settings)
        if isinstance(problem, TrainingStep)
        else inference(problem, stage, settings)
    )
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # as PyTorch's documentation of graphs demands
        for _ in range(4):
            work()
    torch.cuda.current_stream().wait_stream(side)
    yield "eager", timed(work, count, events(), nothing)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    yield "graph", timed(graph.replay, count, events(), nothing)


def training(
    problem: TrainingStep, stage: TeacherAndStudent, batch: int, settings: TorchSettings
) -> Callable[[], object]:
    """Return a training step, from uint8 pixels on the device to new weights."""
    import torch
    from torch.nn import functional as F

    pixels, labels = torch.tensor(stage.views.images, device=CUDA), torch.tensor(stage.views.labels, device=CUDA)
    index = torch.randperm(len(labels), device=CUDA)[:batch].clone()
    model = twin_of(problem.model, settings.channels_last).to(CUDA).train()
    teacher: torch.nn.Module | torch.Tensor | None = None
    if isinstance(problem.teacher, Sequential):
        teacher = twin_of(problem.teacher, settings.channels_last).to(CUDA).eval()
    elif problem.teacher is not None:
        teacher = torch.tensor(problem.teacher, device=CUDA)
    fused, foreach = settings.fused or None, None if settings.fused else True
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, capturable=True, fused=fused, foreach=foreach)

    def loss_of(x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(x)
        hard = F.cross_entropy(logits, labels[index])
        if teacher is None:
            return hard
        with torch.no_grad():
            answers = teacher[index] if isinstance(teacher, torch.Tensor) else teacher(x)
            target = F.softmax(answers / TEMPERATURE, 1)
        soft = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="batchmean")
        return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * hard

    loss = torch.compile(loss_of) if settings.compiled else loss_of
    normalized = pixels_of(pixels, stage, settings)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(normalized(index)))
        optimizer.step()

    return step


def inference(problem: Inference, stage: TeacherAndStudent, settings: TorchSettings) -> Callable[[], object]:
    """Return a network's inference for images that are on the device."""
    import torch

    model = twin_of(problem.model, settings.channels_last).to(CUDA).eval()
    answers = torch.compile(model) if settings.compiled else model
    pixels = torch.tensor(stage.views.images[: problem.images], device=CUDA)
    x = pixels_of(pixels, stage, settings)(slice(None))

    def work() -> object:
        with torch.inference_mode():
            return cast(object, answers(x))

    return work


def pixels_of(
    pixels: "torch.Tensor", stage: TeacherAndStudent, settings: TorchSettings
) -> "Callable[[torch.Tensor | slice], torch.Tensor]":
    """Return a function that takes images (N, C, H, W) from the pixels and normalises them."""
    import torch

    std, mean = np.array(stage.views.std), np.array(stage.views.mean)
    scale = torch.tensor(1 / (255 * std), dtype=torch.float32, device=CUDA).reshape(-1, 1, 1)
    shift = torch.tensor(mean / std, dtype=torch.float32, device=CUDA).reshape(-1, 1, 1)
    order = torch.channels_last if settings.channels_last else torch.contiguous_format

    def normalized(index: torch.Tensor | slice) -> torch.Tensor:
        return pixels[index].to(torch.float32).mul_(scale).sub_(shift).to(memory_format=order)

    return normalized


def events() -> Event:
    """Return PyTorch's functions to time the device."""
    import torch

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def milliseconds(first: torch.cuda.Event, second: torch.cuda.Event) -> float:
        second.synchronize()
        return float(first.elapsed_time(second))

    return Event(mark, milliseconds)


def allow_tf32(allowed: bool) -> None:
    """Let PyTorch round the factors of products and convolutions to TF32, or not."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.benchmark = True


def memory() -> float:
    """Return the MiB that PyTorch holds on the device, and free what is not used."""
    import torch

    held = torch.cuda.memory_reserved() / 2**20
    torch.cuda.empty_cache()
    return float(held)
