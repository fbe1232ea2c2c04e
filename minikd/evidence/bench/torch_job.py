"""The job of job.py as a process in PyTorch, as a careful user of PyTorch writes it.

It imports nothing from minikd, so that only PyTorch and NumPy count; run it by its path. It uses the fastest way in
PyTorch: batches are slices of one uint8 tensor, without a DataLoader, which would collect images one by one.
"""

import argparse
import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH = 128
TEMPERATURE, ALPHA = 4.0, 0.9

TorchLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(logits, numbers of the samples) -> mean loss."""


class Mnist:
    """MNIST as uint8, normalised batch by batch."""

    def __init__(self, folder: Path, images: int) -> None:
        self.images = read(folder / "train-images-idx3-ubyte.gz", 16)[: images * 784].reshape(-1, 1, 28, 28)
        self.labels = read(folder / "train-labels-idx1-ubyte.gz", 8)[:images].long()
        self.test_images = read(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
        self.test_labels = read(folder / "t10k-labels-idx1-ubyte.gz", 8).long()
        pixels = self.images.numpy()
        self.mean, self.std = float(pixels.mean()), float(pixels.std())

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Return pixels with mean 0 and deviation 1."""
        return images.float().sub_(self.mean).div_(self.std)


def read(path: Path, header: int) -> torch.Tensor:
    """Return the bytes of an IDX file after its header."""
    return torch.from_numpy(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header).copy())


def cnn() -> nn.Sequential:
    """Return the teacher."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)),
    )


def mlp() -> nn.Sequential:
    """Return the student."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def train_teacher(model: nn.Module, data: Mnist, epochs: int) -> None:
    """Train with Nesterov momentum and a cosine schedule, with a linear warm-up over a fifth of the steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * steps_an_epoch(data)
    warm = round(0.2 * steps)

    def factor(step: int) -> float:
        return 0.5 * (1 + cos(pi * step / steps)) * min(1.0, (step + 1) / (warm + 1))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    train(model, data, epochs, optimizer, scheduler, lambda z, index: F.cross_entropy(z, data.labels[index]))


def train_student(model: nn.Module, data: Mnist, epochs: int, loss_of: TorchLoss) -> None:
    """Train with Adam and a one-cycle schedule."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    steps = epochs * steps_an_epoch(data)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps, cycle_momentum=False)
    train(model, data, epochs, optimizer, scheduler, loss_of)


def steps_an_epoch(data: Mnist) -> int:
    """Return the number of batches, including the last, smaller one."""
    return -(-len(data.images) // BATCH)


def train(
    model: nn.Module,
    data: Mnist,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    loss_of: TorchLoss,
) -> None:
    """Train for this many passes over the images."""
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(data.images))
        for start in range(0, len(order), BATCH):
            index = order[start : start + BATCH]
            optimizer.zero_grad()
            loss = loss_of(model(data.normalised(data.images[index])), index)
            torch.autograd.backward(loss)
            optimizer.step()
            scheduler.step()


def logits_of(model: nn.Module, data: Mnist, images: torch.Tensor) -> torch.Tensor:
    """Return the logits for all images, in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return torch.cat([model(data.normalised(part)) for part in parts])


def distillation(data: Mnist, targets: torch.Tensor) -> TorchLoss:
    """Return the distillation loss; `targets` are the teacher's probabilities at the temperature, for each sample."""

    def loss_of(z: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        soft = F.kl_div(F.log_softmax(z / TEMPERATURE, 1), targets[index], reduction="batchmean")
        return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * F.cross_entropy(z, data.labels[index])

    return loss_of


def main() -> None:
    """Do the job and print the three models' accuracies."""
    arguments = parser().parse_args()
    torch.manual_seed(0)
    data = Mnist(arguments.data, arguments.images)

    teacher = cnn()
    train_teacher(teacher, data, arguments.teacher_epochs)
    baseline = mlp()
    student = deepcopy(baseline)
    train_student(baseline, data, arguments.student_epochs, lambda z, index: F.cross_entropy(z, data.labels[index]))
    targets = F.softmax(logits_of(teacher, data, data.images).clone() / TEMPERATURE, 1)
    train_student(student, data, arguments.student_epochs, distillation(data, targets))

    accuracies = {}
    for name, model in {"teacher": teacher, "baseline": baseline, "student": student}.items():
        torch.save(model.state_dict(), arguments.out / f"{name}.pt")
        right = logits_of(model, data, data.test_images).argmax(1) == data.test_labels
        accuracies[name] = float(right.float().mean())
    print(json.dumps(accuracies))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the job's flags, which are the same in job.py."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--teacher-epochs", type=int, required=True)
    made.add_argument("--student-epochs", type=int, required=True)
    made.add_argument("--images", type=int, required=True, help="training images")
    made.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    made.add_argument("--out", type=Path, required=True, help="folder for the weights")
    return made


if __name__ == "__main__":
    main()
