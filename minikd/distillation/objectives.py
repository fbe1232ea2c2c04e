"""What a model is trained to do, as the training loop calls it: (logits, batch) -> (loss, gradient by the logits)."""

from minikd.data import Batch
from minikd.distillation.teacher import TeacherLogits
from minikd.losses import cross_entropy, distillation_loss
from minikd.training import Objective
from minikd.typing import Floats, Scalar


def label_objective(label_smoothing: float = 0.0) -> Objective:
    """Return cross-entropy with the batch's labels."""

    def objective(logits: Floats, batch: Batch) -> tuple[Scalar, Floats]:
        return cross_entropy(logits, batch.labels, label_smoothing)

    return objective


def distillation_objective(teacher: TeacherLogits, temperature: float, alpha: float) -> Objective:
    """Return the distillation loss with the teacher's logits for the batch's view, and its labels."""

    def objective(logits: Floats, batch: Batch) -> tuple[Scalar, Floats]:
        return distillation_loss(logits, teacher(batch), batch.labels, temperature, alpha)

    return objective
