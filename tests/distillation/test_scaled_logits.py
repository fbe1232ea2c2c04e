"""The logits of a teacher that is too confident are scaled down by one factor, as far as its soft targets need."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from minikd.backends import module_of, to_host
from minikd.data import Augmentation, Batch
from minikd.distillation.scaled_logits import ScaledTeacher, factor_for
from minikd.distillation.teacher import LiveTeacher, answers, asking
from minikd.training import Callback
from minikd.training.inference import logits_of
from tests import problems


class Told(Callback):
    """Keeps what it is told."""

    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def scipy_uncertainty(logits, temperature):
    """The uncertainty of soft targets, by SciPy."""
    return np.mean(1 - softmax(np.asarray(logits, np.float64) / temperature, axis=1).max(axis=1))


def there(model, batch):
    """The batch where the model is."""
    return Batch(batch.index, module_of(model.vector).asarray(batch.images), batch.labels)


@pytest.mark.parametrize(
    ("size", "classes", "temperature"), [(30, 3, 4.0), (20, 10, 4.0), (12, 2, 1.0), (200, 47, 4.0)]
)
def test_a_confident_teachers_soft_targets_get_the_wanted_uncertainty(size, classes, temperature):
    logits = np.random.default_rng(0).normal(0, size, (500, classes)).astype(np.float32)
    factor = factor_for(logits, temperature, 0.3)
    assert scipy_uncertainty(logits, temperature) < 0.3
    assert scipy_uncertainty(factor * logits, temperature) == pytest.approx(0.3, abs=2e-3)
    assert scipy_uncertainty(1.02 * factor * logits, temperature) < 0.3


def test_an_uncertain_teacher_is_left_as_it_is_and_never_sharpened():
    logits = np.random.default_rng(0).normal(0, 1, (100, 10))
    assert scipy_uncertainty(logits, 4.0) > 0.3
    assert factor_for(logits, 4.0, 0.3) == 1.0


def test_the_last_digits_of_the_logits_change_no_factor():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 20, (100, 10))
    assert factor_for(logits, 4.0, 0.3) == factor_for(logits * (1 + 1e-6 * rng.normal(size=logits.shape)), 4.0, 0.3)


@pytest.mark.parametrize("augmentation", [None, Augmentation(shift=2)])
def test_every_answer_is_the_teachers_times_one_factor(augmentation):
    model, views = problems.cnn(), problems.views(augmentation=augmentation)
    model.vector[...] *= 8  # confident of everything
    plain = answers([model], views, map, (), 4.0)
    soft = answers([model], views, map, (), 4.0, min_uncertainty=0.3)
    assert isinstance(soft, ScaledTeacher)
    assert soft.factor < 1
    for epoch in range(2):
        batch = there(model, views.batch(epoch, np.array([7, 2, 5])))
        assert np.array_equal(to_host(soft(batch).logits), to_host(soft.factor * plain(batch).logits))


def test_the_factor_is_that_of_the_views_which_the_student_sees():
    model, views = problems.cnn(), problems.views(augmentation=Augmentation(shift=3, rotation=40))
    model.vector[...] *= 8
    seen = there(model, views.batch(0, np.arange(len(views)))).images
    expected = factor_for(to_host(model(seen)), 4.0, 0.3)
    clean = factor_for(to_host(logits_of(model, replace(views, augmentation=None), map)), 4.0, 0.3)
    found = answers([model], views, map, (), 4.0, min_uncertainty=0.3).factor
    assert found == pytest.approx(expected, rel=2e-3)
    assert found != pytest.approx(clean, rel=2e-3)


def test_without_min_uncertainty_the_teachers_logits_are_not_scaled():
    assert isinstance(
        answers([problems.cnn()], problems.views(augmentation=Augmentation(shift=1)), map, (), 4.0), LiveTeacher
    )


def test_a_note_gives_the_factor_of_the_teachers_logits():
    model, told = problems.cnn(), Told()
    model.vector[...] *= 8
    ask = asking([model], problems.views(augmentation=Augmentation(shift=1)), [told], min_uncertainty=0.3)
    factor = ask((), 4.0).factor
    assert told.texts == [f"the teacher is too confident: its logits are multiplied by {factor:g}"]
