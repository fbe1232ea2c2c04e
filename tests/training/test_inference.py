"""Answers that are no numbers are refused, and whose they are is said."""

import numpy as np
import pytest

import minikd
from minikd.errors import Diverged
from minikd.training.inference import logits_of, outputs_of, try_out
from tests import problems

BROKEN = {"NaN": lambda model: model.vector.fill(np.nan), "too large": lambda model: model.vector.fill(3e38)}


@pytest.fixture(params=BROKEN)
def broken(request):
    model = problems.mlp()
    BROKEN[request.param](model)
    return model


def test_answers_that_are_no_numbers_are_refused(broken):
    with pytest.raises(Diverged, match=r"answers to \d+ of 10 images are NaN or infinite, so no prob"):
        logits_of(broken, problems.views(), map)
    with pytest.raises(Diverged):
        outputs_of(broken, problems.views(), map, ("1",))


def test_so_many_answers_are_counted():
    """A weight that is large enough for bright pixels alone."""
    model, views = problems.mlp(), problems.views(30)
    model.vector.fill(0)
    model.params["1.weight"][0], model.params["3.weight"][0, 0] = 1e20, 1e20
    bright = int((views.clean().sum(axis=(1, 2, 3)) > 0).sum())
    with pytest.raises(Diverged, match=f"to {bright} of 30 images"):
        logits_of(model, views, map)


def test_a_teacher_is_asked_before_anybody_learns_from_it(broken):
    with pytest.raises(Diverged, match=r"^runs/a: the model's answers to \d+ of 10"):
        try_out(broken, problems.views(), "runs/a")
    learner = problems.mlp()
    before = learner.copy()
    for augmentation in (None, minikd.Augmentation(shift=2)):
        with pytest.raises(Diverged, match=r"^the teacher: "):
            minikd.distill([problems.cnn(), broken], learner, problems.dataset(), augmentation=augmentation)
    assert problems.same_bits(learner, before)


def test_a_model_without_right_answers_has_no_scores(broken):
    with pytest.raises(Diverged, match="NaN or infinite"):
        minikd.evaluate(broken, problems.dataset())
