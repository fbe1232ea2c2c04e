"""Soft targets are the distillation loss: to the bit on the host, to rounding where a device fuses multiply and add."""

import numpy as np
import pytest

from minikd.losses import distillation_loss
from tests import problems
from tests.methods.makers import objective_of, total


@pytest.mark.parametrize(("temperature", "alpha"), [(4.0, 0.9), (1.0, 0.0), (2.5, 1.0)])
def test_soft_targets_are_the_distillation_loss_to_the_bit(temperature, alpha, backend):
    student, teacher, views = problems.mlp(), problems.cnn(), problems.views()
    objective = objective_of("soft_targets", student, [teacher], views, temperature=temperature, alpha=alpha)
    batch = views.batch(0, np.array([3, 1, 8]))
    found = total(student, objective, batch)
    teacher_logits = objective.teacher(batch).logits
    loss, dlogits = distillation_loss(student(batch.images), teacher_logits, batch.labels, temperature, alpha)
    if backend.name == "numpy":
        assert found.loss == loss
        assert np.array_equal(found.dlogits, dlogits)
    else:
        assert found.loss == pytest.approx(loss, rel=1e-6)
        assert found.dlogits == pytest.approx(dlogits, rel=1e-5, abs=1e-7)
