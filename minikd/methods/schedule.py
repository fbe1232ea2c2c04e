"""A setting that changes during the run from its first value to a final one, where one is given.

In a straight line, or along half a cosine, which stays longer at both ends. An early high temperature shows the
teacher's second thoughts, a late low one what it decided (Jafari et al. 2021, "Annealing knowledge distillation"); an
α that falls hands the student over from the teacher to the labels (Clark et al. 2019, "BAM! Born-again multi-task
networks", teacher annealing).
"""

import math

SCHEDULES = ("linear", "cosine")


def value_at(first: float, last: float | None, progress: float, schedule: str) -> float:
    """Return the value at `progress`, 0 to 1, between `first` and `last`; `first` where `last` is None."""
    if last is None:
        return first
    part = progress if schedule == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return first + (last - first) * part
