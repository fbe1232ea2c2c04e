"""`minikd check-loss`: checks a user's distillation loss, written in NumPy or PyTorch.

The loss and its gradient are computed at random logits. The gradient is compared with the gradients of known formulas,
right and wrong ones (`formulas`, `identify`). Small checks test properties that every distillation loss has (`checks`).
"""

from minikd.evidence.check_loss.judge import Verdict, judge_loss
from minikd.evidence.check_loss.report import text

__all__ = ["Verdict", "judge_loss", "text"]
