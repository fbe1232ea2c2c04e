"""What tells one training from another, and how a change is named."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from minikd.data import Augmentation
from minikd.training import Plan
from minikd.training.identity import changes, digest, identity_of
from tests import problems

PLAN, SHIFTED = Plan(epochs=2), Augmentation(shift=1)


def identity(name="teacher", model=None, views=None, plan=PLAN, **settings):
    return identity_of(name, model or problems.mlp(), views or problems.views(), asdict(plan), settings)


def other_images():
    views = problems.views()
    views.images[0, 0, 0, 0] ^= 1
    return views


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plan": replace(PLAN, epochs=3)}, "epochs was 2 and is 3"),
        ({"temperature": 4.0}, "temperature was nothing and is 4.0"),
        ({"views": replace(problems.views(), augmentation=SHIFTED)}, "shift was nothing and is 1"),
        ({"views": other_images()}, "the training images are others"),
        ({"model": problems.mlp(seed=1)}, "the first weights are others"),
        ({"model": problems.mlp(hidden=9)}, "network was 36-8-3 and is 36-9-3"),
        ({"model": problems.mlp(dropout=0.5)}, "the network's layers are others"),
        ({"name": "student"}, "name was teacher and is student"),
    ],
    ids=str,
)
def test_a_change_is_named_with_both_values(change, told):
    assert changes(identity(), identity(**change)).startswith(told)


def test_the_same_training_is_the_same():
    assert changes(identity(temperature=4.0), identity(temperature=4.0)) == ""
    assert identity() == identity()


@pytest.mark.parametrize("text", ["", "0a1b", "12", "[]", "null", None])
def test_what_says_nothing_is_another(text):
    assert changes(text, identity())


def test_arrays_of_other_shape_dtype_or_order_have_other_digests():
    a = np.arange(6, dtype=np.float32)
    found = {digest(a), digest(a.reshape(2, 3)), digest(a.astype(np.float64)), digest(a[::-1]), digest(a, a)}
    assert len(found) == 5
    assert digest(a.reshape(2, 3).T) == digest(np.ascontiguousarray(a.reshape(2, 3).T))


def test_a_setting_that_has_been_renamed_is_no_change():
    before = '{"epochs": 5, "weight_limit": 0.0, "soft_targets.course": "linear"}'
    now = '{"epochs": 5, "max_norm": 0.0, "soft_targets.schedule": "linear"}'
    assert not changes(before, now)
    assert changes(before, now.replace("0.0", "3.0")) == "max_norm was 0.0 and is 3.0"
