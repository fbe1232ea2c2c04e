"""Pitfalls: known bugs of distillation as switches, with their gradient, their cost and the check that finds them.

Each bug is a few lines away from the right version (`losses`, `modes`, `data`). A run never imports this package.
"""

from minikd.evidence.pitfalls.data import DATA
from minikd.evidence.pitfalls.losses import LOSSES
from minikd.evidence.pitfalls.modes import MODES
from minikd.evidence.pitfalls.wiring import RIGHT, Conditions, Pitfall, Wiring

PITFALLS = {pitfall.name: pitfall for pitfall in (*LOSSES, *MODES, *DATA)}

__all__ = ["PITFALLS", "RIGHT", "Conditions", "Pitfall", "Wiring"]
