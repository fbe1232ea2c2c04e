"""What the benchmark asks of an engine's network, and the loss that it is trained on."""

from dataclasses import dataclass
from typing import Protocol

from minikd.evidence.bench.works import ALPHA, TEMPERATURE
from minikd.losses import cross_entropy, distillation_loss
from minikd.typing import Floats, Ints


class CannotDo(Exception):
    """An engine lacks what a work needs; the message says what, in a few words."""


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """A batch's loss: cross-entropy, or distillation where there are a teacher's logits.

    Engines that take the gradient with respect to their output get minikd's own, which costs them little.
    """

    labels: Ints
    teacher_logits: Floats | None

    def __call__(self, logits: Floats) -> tuple[float, Floats]:
        """Return the mean loss and its gradient with respect to the logits."""
        if self.teacher_logits is None:
            value, gradient = cross_entropy(logits, self.labels)
        else:
            value, gradient = distillation_loss(logits, self.teacher_logits, self.labels, TEMPERATURE, ALPHA)
        return float(value), gradient


class Network(Protocol):
    """A network of an engine, made from a minikd model: the same weights. Its making may raise `CannotDo`."""

    def logits(self, x: Floats) -> Floats:
        """Return the answers to normalised images (N, C, H, W)."""
        ...

    def step(self, x: Floats, loss: BatchLoss) -> float:
        """Take one step of Adam and return the loss before it."""
        ...
