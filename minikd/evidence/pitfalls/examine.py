"""Examines a pitfall: compares its gradient with the right one, and runs every check on it and on the right version."""

from dataclasses import dataclass

from minikd.evidence.pitfalls.checks import CHECKS
from minikd.evidence.pitfalls.scene import GradientComparison, compare_gradients, gradient, scene_of
from minikd.evidence.pitfalls.wiring import RIGHT, Pitfall


@dataclass(frozen=True)
class Examined:
    """The results. found: what each check finds in the bug, or "". alarms: the same for the right version."""

    pitfall: Pitfall
    gradient: GradientComparison
    found: dict[str, str]
    alarms: dict[str, str]

    @property
    def caught(self) -> bool:
        """True if the named check finds the bug and no check reports a bug in the right version."""
        return bool(self.found[self.pitfall.caught_by]) and not any(self.alarms.values())


def examine(pitfall: Pitfall, seed: int = 0) -> Examined:
    """Measure the gradient and run every check, on random networks and images from this seed."""
    scene = scene_of(pitfall.where, seed)
    return Examined(
        pitfall,
        compare_gradients(gradient(pitfall.wrong, scene), gradient(RIGHT, scene)),
        {name: check.run(pitfall.wrong, scene) for name, check in CHECKS.items()},
        {name: check.run(RIGHT, scene) for name, check in CHECKS.items()},
    )
