"""The interface of an engine's network in the benchmark, and its loss."""

from dataclasses import dataclass
from typing import Protocol

from minikd.evidence.bench.works import ALPHA, TEMPERATURE
from minikd.losses import cross_entropy, distillation_loss
from minikd.typing import Floats, Ints


class CannotDo(Exception):
    """An engine lacks something that a work needs. The message says what."""


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """A batch's loss: cross-entropy, or distillation if there are a teacher's logits.

    Engines that take the gradient with respect to their output get minikd's gradient, which costs little time.
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
    """A network of an engine with the weights of a minikd model. The constructor may raise `CannotDo`."""

    def logits(self, x: Floats) -> Floats:
        """Return the logits of normalised images (N, C, H, W)."""
        ...

    def step(self, x: Floats, loss: BatchLoss) -> float:
        """Take one step of Adam, and return the loss before the step."""
        ...
