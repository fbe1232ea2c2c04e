"""A pitfall under examination: its gradient beside the right one, every check run on it and on the right version."""

from dataclasses import dataclass

from minikd.evidence.pitfalls.checks import CHECKS
from minikd.evidence.pitfalls.scene import Bend, bend, gradient, scene_of
from minikd.evidence.pitfalls.wiring import RIGHT, Pitfall


@dataclass(frozen=True)
class Examined:
    """What came out. found: what each check says of the bug, "" for nothing. alarms: the same of the right version."""

    pitfall: Pitfall
    gradient: Bend
    found: dict[str, str]
    alarms: dict[str, str]

    @property
    def caught(self) -> bool:
        """True if the named check finds the bug and no check complains of the right version."""
        return bool(self.found[self.pitfall.caught_by]) and not any(self.alarms.values())


def examine(pitfall: Pitfall, seed: int = 0) -> Examined:
    """Measure the gradient and run every check, on random networks and images of this seed."""
    scene = scene_of(pitfall.where, seed)
    return Examined(
        pitfall,
        bend(gradient(pitfall.wrong, scene), gradient(RIGHT, scene)),
        {name: check.run(pitfall.wrong, scene) for name, check in CHECKS.items()},
        {name: check.run(RIGHT, scene) for name, check in CHECKS.items()},
    )
