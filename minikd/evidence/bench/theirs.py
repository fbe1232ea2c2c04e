"""PyTorch's side: the same work as PyTorch's users write it, and configurations that may be faster."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from minikd.evidence.bench.ours import BETA, PROOF_STEPS
from minikd.evidence.bench.works import (
    ALPHA,
    LEARNING_RATE,
    TEMPERATURE,
    Inference,
    Problem,
    TeacherAndStudent,
    TrainingStep,
)
from minikd.evidence.reference import to_torch
from minikd.nn import Conv2d, Sequential
from minikd.typing import Floats

if TYPE_CHECKING:
    import torch

DEFAULT = "PyTorch"


@dataclass(frozen=True)
class TorchSettings:
    """PyTorch's settings: the memory order of images, and the optimiser's loop over the arrays."""

    channels_last: bool = False
    fused: bool = False
    foreach: bool = False
    inference_mode: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        """What distinguishes these settings from the defaults."""
        words = {
            "channels-last": self.channels_last,
            "fused Adam": self.fused,
            "foreach Adam": self.foreach,
            "inference mode": self.inference_mode,
            "compiled": self.compiled,
        }
        return ", ".join([DEFAULT, *(word for word, chosen in words.items() if chosen)])


def torch_sides(problem: Problem, stage: TeacherAndStudent) -> "list[TorchTraining | TorchInference]":
    """Return PyTorch with its defaults, then in every configuration."""
    import torch

    torch.set_num_threads(stage.threads)
    if isinstance(problem, TrainingStep):
        return [TorchTraining(problem, stage, settings) for settings in training_settings(problem)]
    return [TorchInference(problem, stage, settings) for settings in inference_settings(problem)]


def training_settings(problem: TrainingStep) -> Iterator[TorchSettings]:
    """Yield the defaults and every combination that can matter."""
    teachers = [problem.teacher] if isinstance(problem.teacher, Sequential) else []
    for channels_last in (False, True) if has_convolution(problem.model, *teachers) else (False,):
        yield TorchSettings(channels_last)
        yield TorchSettings(channels_last, fused=True)
        yield TorchSettings(channels_last, foreach=True)
        if compiler():
            yield TorchSettings(channels_last, fused=True, compiled=True)


def inference_settings(problem: Inference) -> Iterator[TorchSettings]:
    """Yield the defaults (`no_grad`) and every combination that can matter."""
    yield TorchSettings()
    yield TorchSettings(inference_mode=True)
    if has_convolution(problem.model):
        yield TorchSettings(channels_last=True)
        yield TorchSettings(channels_last=True, inference_mode=True)
    if compiler():
        yield TorchSettings(channels_last=has_convolution(problem.model), inference_mode=True, compiled=True)


@cache
def compiler() -> bool:
    """Return whether torch.compile works here: it needs a C++ compiler and Python's headers."""
    import torch

    try:
        torch.compile(torch.exp)(torch.ones(1))
    except Exception:  # any part of the compiler may be missing
        return False
    return True


def has_convolution(*models: Sequential) -> bool:
    """True if the memory order of images makes a difference."""
    return any(isinstance(layer, Conv2d) for model in models for layer in model.layers)


class TorchPixels:
    """The images as PyTorch tensors, with the same normalisation for each batch."""

    def __init__(self, stage: TeacherAndStudent, channels_last: bool) -> None:
        import torch

        views = stage.views
        self.images = torch.tensor(views.images)
        self.channels_last = channels_last
        scale, shift = 1 / (255 * np.array(views.std)), np.array(views.mean) / np.array(views.std)
        self.scale = torch.tensor(scale, dtype=torch.float32).reshape(-1, 1, 1)
        self.shift = torch.tensor(shift, dtype=torch.float32).reshape(-1, 1, 1)

    def at(self, index: "torch.Tensor | slice") -> "torch.Tensor":
        """Return images (N, C, H, W), normalised."""
        import torch

        x = self.images[index].to(torch.float32).mul_(self.scale).sub_(self.shift)
        return x.to(memory_format=torch.channels_last) if self.channels_last else x


def twin_of(model: Sequential, channels_last: bool) -> "torch.nn.Sequential":
    """Return the same network with the same weights.

    This uses `to`, not `contiguous`. With one channel, both memory orders have the same bytes, and only `to` sets the
    strides from which PyTorch recognises the order.
    """
    import torch

    twin = to_torch(model)
    if channels_last:
        for weight in twin.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.to(memory_format=torch.channels_last)
    return twin


class TorchTraining:
    """Training steps in PyTorch, from uint8 pixels to new weights."""

    def __init__(self, problem: TrainingStep, stage: TeacherAndStudent, settings: TorchSettings) -> None:
        import torch

        self.name, self.compiled, self.first_seconds = settings.name, settings.compiled, 0.0
        self.model = twin_of(problem.model, settings.channels_last).train()
        self.pixels = TorchPixels(stage, settings.channels_last)
        self.labels = torch.tensor(stage.views.labels)
        self.batches = [torch.tensor(index) for index in stage.batches]
        self.teacher: torch.nn.Sequential | torch.Tensor | None = None
        if isinstance(problem.teacher, Sequential):
            self.teacher = twin_of(problem.teacher, settings.channels_last)
        elif problem.teacher is not None:
            self.teacher = torch.tensor(problem.teacher)
        self.loss_of = torch.compile(self.loss) if settings.compiled else self.loss
        fused, foreach = settings.fused or None, settings.foreach or None  # with None, PyTorch chooses
        self.optimizer = torch.optim.Adam(self.model.parameters(), LEARNING_RATE, fused=fused, foreach=foreach)

    def step(self, number: int) -> float:
        """Take a step and return its loss."""
        import torch

        index = self.batches[number % len(self.batches)]
        x = self.pixels.at(index)
        self.optimizer.zero_grad()
        loss = self.loss_of(x, index)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.item())

    def loss(self, x: "torch.Tensor", index: "torch.Tensor") -> "torch.Tensor":
        """Return cross-entropy, or the distillation loss if there is a teacher."""
        import torch
        from torch.nn import functional as F

        logits = self.model(x)
        hard = F.cross_entropy(logits, self.labels[index])
        if self.teacher is None:
            return hard
        with torch.no_grad():
            answers = self.teacher[index] if isinstance(self.teacher, torch.Tensor) else self.teacher(x)
            target = F.softmax(answers / TEMPERATURE, 1)
        soft = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="batchmean")
        return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * hard

    def run(self, numbers: range) -> None:
        for number in numbers:
            self.step(number)

    def proof(self) -> Mapping[str, Floats]:
        begin = time.perf_counter()
        losses = [self.step(0)]
        self.first_seconds = time.perf_counter() - begin
        means = [self.optimizer.state[weight]["exp_avg"] for weight in self.model.parameters()]
        gradient = np.concatenate([mean.contiguous().numpy().ravel() for mean in means]) / (1 - BETA)
        losses += [self.step(number) for number in range(1, PROOF_STEPS)]
        return {"losses": np.array(losses), "gradient": gradient}


class TorchInference:
    """Inference in PyTorch, from uint8 pixels to logits."""

    def __init__(self, problem: Inference, stage: TeacherAndStudent, settings: TorchSettings) -> None:
        import torch

        self.name, self.count, self.settings = settings.name, problem.images, settings
        self.compiled, self.first_seconds = settings.compiled, 0.0
        twin = twin_of(problem.model, settings.channels_last)
        self.model = torch.compile(twin) if settings.compiled else twin
        self.pixels = TorchPixels(stage, settings.channels_last)

    def logits(self, number: int) -> "torch.Tensor":
        """Return the logits."""
        import torch

        start = 0 if self.count > 1 else number % len(self.pixels.images)
        with torch.inference_mode() if self.settings.inference_mode else torch.no_grad():
            answers: torch.Tensor = self.model(self.pixels.at(slice(start, start + self.count)))
        return answers

    def run(self, numbers: range) -> None:
        for number in numbers:
            self.logits(number)

    def proof(self) -> Mapping[str, Floats]:
        begin = time.perf_counter()
        answers: Floats = self.logits(0).numpy()
        self.first_seconds = time.perf_counter() - begin
        return {"logits": answers}
