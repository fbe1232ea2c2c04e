"""Pairs of small networks, and objectives made of methods for them."""

import numpy as np

from minikd import nn
from minikd.distillation.teacher import answers
from minikd.methods import Pair, build
from minikd.training.objective import Step
from minikd.training.run import DROPOUT
from tests import problems


def convolutional(seed=7):
    """A student with maps of the size that the teacher has them, (N, 3, 6, 6)."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3, rng, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(108, 3, rng))


def smooth(seed=3):
    """A dense student without a kink."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8, rng), nn.Tanh(), nn.Linear(8, 3, rng))


def objective_of(name, student, teachers, views, labelled=True, **settings):
    pair = Pair(student, teachers, problems.SHAPE, labelled)
    return build(name, settings).objective(
        pair, lambda layers, T: answers(teachers, views, map, layers, T), np.random.default_rng(1)
    )


def total(student, objective, batch, progress=0.0):
    """Return a batch's terms added up, with the noise of a run's first step."""
    return problems.total_of(student, objective, batch, Step(progress, np.random.default_rng((0, DROPOUT, 0, 0))))
