"""Training on the labels only, as for teachers and baselines."""

from collections.abc import Sequence

from minikd.data import Batch
from minikd.losses import cross_entropy
from minikd.training.objective import Answer, Objective, Step, Term


class Labels(Objective):
    """Cross-entropy with the batch's labels, smoothed or not."""

    eager = ""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        return (Term("hard", 1.0, *cross_entropy(student.logits, batch.labels, self.label_smoothing)),)
