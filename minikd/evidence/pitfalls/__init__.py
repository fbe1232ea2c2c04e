"""Pitfalls: known bugs of distillation as switches, what each does to the gradient, what it costs, what catches it.

Each bug stands a few lines from the right line (`losses`, `modes`, `data`). Nothing of a run ever imports this package.
"""

from minikd.evidence.pitfalls.data import DATA
from minikd.evidence.pitfalls.losses import LOSSES
from minikd.evidence.pitfalls.modes import MODES
from minikd.evidence.pitfalls.wiring import RIGHT, Conditions, Pitfall, Wiring

PITFALLS = {pitfall.name: pitfall for pitfall in (*LOSSES, *MODES, *DATA)}

__all__ = ["PITFALLS", "RIGHT", "Conditions", "Pitfall", "Wiring"]
