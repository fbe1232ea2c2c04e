"""Small students train where the model's arrays are, with the numbers of NumPy."""

import numpy as np
import pytest

import minikd
from minikd.backends import to_host
from minikd.models import mlp
from minikd.training import Plan
from tests import problems


@pytest.mark.parametrize("kind", ["none", "int4", "ternary"])
def test_a_small_student_trains_on_the_device_as_on_the_host(backend, kind):
    data, trained = problems.dataset(), []
    for place in (lambda model: model, lambda model: model.to(backend)):
        model = place(mlp(data.image_shape, (8,), data.classes, np.random.default_rng(0)))
        minikd.train(model, data, Plan(epochs=4, batch_size=16, shards=1), callbacks=[], quantize=kind, prune=0.5)
        trained.append(model)
    host, device = trained
    assert np.allclose(to_host(device.vector), host.vector, atol=1e-4)
    assert device.activation_bits == host.activation_bits
