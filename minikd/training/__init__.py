"""Training any model for any objective: the plan, the loop, and what lets a run stop and go on."""

from minikd.training.loop import Evaluation, Interrupted, Plan, Watcher, fit

__all__ = ["Evaluation", "Interrupted", "Plan", "Watcher", "fit"]
