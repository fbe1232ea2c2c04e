"""Learning from the labels alone: what teachers and baselines do."""

from collections.abc import Sequence

from minikd.data import Batch
from minikd.losses import cross_entropy
from minikd.nn.container import Taps
from minikd.training.objective import Objective, Step, Term
from minikd.typing import Floats


class Labels(Objective):
    """Cross-entropy with the batch's labels, smoothed or not."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def __call__(self, logits: Floats, taps: Taps, batch: Batch, step: Step) -> Sequence[Term]:
        return (Term("hard", 1.0, *cross_entropy(logits, batch.labels, self.label_smoothing)),)
