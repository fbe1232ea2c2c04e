"""Scales a confident teacher's logits by one factor, so that its soft targets are not almost the labels.

    u(s) = mean_i (1 - max_k softmax(s·v_i / T)_k),   the largest s ≤ 1 with u(s) ≥ min_uncertainty,   v' = s·v

A network that is trained for long on few images becomes confident of all of them. Its logits become so large that its
soft targets, at any usual temperature, are almost the labels. A student that learns such logits becomes as
overconfident as its teacher. Temperature scaling (Guo et al. 2017, On calibration of modern neural networks) divides
all logits by the same number. So the order of the classes does not change, and an image that is harder than others
stays harder. Here the factor s is chosen by the uncertainty u(s): the mean probability that the soft targets give to
all classes but the likeliest. u falls as s grows, so bisection finds s.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from minikd.backends import module_of, to_host
from minikd.data import Batch, Views
from minikd.losses import softmax
from minikd.methods import Answer, TeacherAnswers
from minikd.nn import Sequential
from minikd.typing import Floats

LOOKED_AT, AT_A_TIME = 1000, 100
"""About how many images the factor is computed from, and how many of them are computed at a time."""

LEAST = 1e-3
"""The smallest factor. Even larger logits are not scaled down more."""


@dataclass(frozen=True, eq=False)
class ScaledTeacher:
    """A teacher whose logits are multiplied by a factor."""

    teacher: TeacherAnswers
    factor: float

    def __call__(self, batch: Batch) -> Answer:
        answer = self.teacher(batch)
        return answer._replace(logits=self.factor * answer.logits)


def scaled(
    answers: TeacherAnswers, teacher: Sequential, views: Views, temperature: float, min_uncertainty: float
) -> TeacherAnswers:
    """Return a teacher whose logits are scaled, so that its soft targets in the first epoch have this uncertainty.

    With min_uncertainty 0, the teacher is not changed.
    """
    if not min_uncertainty:
        return answers
    return ScaledTeacher(answers, factor_of(answers, teacher, views, temperature, min_uncertainty))


def factor_of(
    answers: TeacherAnswers, teacher: Sequential, views: Views, temperature: float, min_uncertainty: float
) -> float:
    """Return the factor for a teacher's logits, from its outputs for the views of the first epoch."""
    put, found = module_of(teacher.vector).asarray, []
    index = np.arange(0, len(views), max(1, len(views) // LOOKED_AT))
    for start in range(0, len(index), AT_A_TIME):
        batch = views.batch(0, index[start : start + AT_A_TIME])
        found.append(to_host(answers(Batch(batch.index, put(batch.images), batch.labels)).logits))
    return factor_for(np.concatenate(found), temperature, min_uncertainty)


def factor_for(logits: Floats, temperature: float, min_uncertainty: float) -> float:
    """Return the factor for logits (N, K).

    It is at most 1 and has three digits, so that rounding errors do not change it.
    """
    low, high = LEAST, 1.0
    if uncertainty(logits, temperature) >= min_uncertainty:
        return high
    while high / low > 1 + 1e-4:
        middle = sqrt(low * high)
        low, high = (middle, high) if uncertainty(middle * logits, temperature) >= min_uncertainty else (low, middle)
    return float(f"{low:.3g}")


def uncertainty(logits: Floats, temperature: float) -> float:
    """Return the mean over images of 1 - max_k p_k: what soft targets p give to all classes but the likeliest."""
    return float(1 - softmax(logits, temperature).max(axis=1).mean())
