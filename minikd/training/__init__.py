"""Training of any model with any objective: the plan, the loop and its step, the callbacks."""

from minikd.training.callbacks import Callback, Checkpoint, Evaluation, History
from minikd.training.loop import Interrupted, fit
from minikd.training.plan import Plan

__all__ = ["Callback", "Checkpoint", "Evaluation", "History", "Interrupted", "Plan", "fit"]
