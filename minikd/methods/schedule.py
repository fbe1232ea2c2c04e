"""A setting that changes during the run from its first value to a final value, if a final value is given.

It changes along a line, or along half a cosine, which is flatter at both ends. With a temperature that falls, the
student first learns the probabilities of all classes, and later mainly the teacher's answer (Jafari et al. 2021,
"Annealing knowledge distillation"). With an α that falls, the student first learns from the teacher and later from the
labels (Clark et al. 2019, "BAM! Born-again multi-task networks", teacher annealing).
"""

import math

SCHEDULES = ("linear", "cosine")


def value_at(first: float, last: float | None, progress: float, schedule: str) -> float:
    """Return the value at `progress`, 0 to 1, between `first` and `last`. If `last` is None, it is `first`."""
    if last is None:
        return first
    part = progress if schedule == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return first + (last - first) * part
