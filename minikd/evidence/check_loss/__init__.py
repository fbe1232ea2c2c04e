"""`minikd check-loss`: checks a user's distillation loss, written in NumPy or PyTorch.

The loss is asked for its value and gradient at random logits. Its gradient is compared with those of known formulas,
right ones and wrong ones (`formulas`, `identify`), and small checks ask for what holds for every distillation loss
(`checks`).
"""

from minikd.evidence.check_loss.judge import Verdict, judge_loss
from minikd.evidence.check_loss.report import text

__all__ = ["Verdict", "judge_loss", "text"]
