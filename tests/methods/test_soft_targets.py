"""Soft targets are the distillation loss."""

import numpy as np
import pytest

from minikd.losses import distillation_loss
from tests import problems
from tests.methods.makers import objective_of, total


@pytest.mark.parametrize(("temperature", "alpha"), [(4.0, 0.9), (1.0, 0.0), (2.5, 1.0)])
def test_soft_targets_are_the_distillation_loss_to_the_bit(temperature, alpha):
    student, teacher, views = problems.mlp(), problems.cnn(), problems.views()
    objective = objective_of("soft_targets", student, [teacher], views, temperature=temperature, alpha=alpha)
    batch = views.batch(0, np.array([3, 1, 8]))
    found = total(student, objective, batch)
    goal = objective.teacher(batch).logits
    loss, dlogits = distillation_loss(student(batch.images), goal, batch.labels, temperature, alpha)
    assert found.loss == loss
    assert np.array_equal(found.dlogits, dlogits)
