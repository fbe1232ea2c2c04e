"""Answers that are no numbers are refused, and whose they are is said."""

import numpy as np
import pytest

import minikd
from minikd.errors import Diverged
from minikd.inference import check_answers, logits_of, outputs_of
from tests import problems

BROKEN = {"NaN": lambda model: model.vector.fill(np.nan), "too large": lambda model: model.vector.fill(3e38)}


@pytest.fixture(params=BROKEN)
def broken(request):
    model = problems.mlp()
    BROKEN[request.param](model)
    return model


def test_answers_that_are_no_numbers_are_refused(broken):
    with pytest.raises(
        Diverged, match=r"answers to \d+ of 10 images are NaN or infinite, first to image 0: its weights"
    ):
        logits_of(broken, problems.views(), map)
    with pytest.raises(Diverged):
        outputs_of(broken, problems.views(), map, ("1",))


def test_the_first_such_image_is_named():
    """A weight that is large enough for bright pixels alone."""
    model, views = problems.mlp(), problems.views(30)
    model.vector.fill(0)
    model.params["1.weight"][0], model.params["3.weight"][0, 0] = 1e20, 1e20
    negative = np.asarray(views.clean().sum(axis=(1, 2, 3)) <= 0)
    first = int(np.argmin(negative))
    with pytest.raises(Diverged, match=rf"to {int((~negative).sum())} of 30 images .* first to image {first}:"):
        logits_of(model, views, map)


def test_a_teacher_is_asked_before_anybody_learns_from_it(broken):
    with pytest.raises(Diverged, match=r"^runs/a: the model's answers to \d+ of 10"):
        check_answers(broken, problems.views(), "runs/a")
    learner = problems.mlp()
    before = learner.copy()
    for augmentation in (None, minikd.Augmentation(shift=2)):
        with pytest.raises(Diverged, match=r"^the teacher: "):
            minikd.distill([problems.cnn(), broken], learner, problems.dataset(), augmentation=augmentation)
    assert problems.same_bits(learner, before)


def test_a_model_without_right_answers_has_no_scores(broken):
    with pytest.raises(Diverged, match="NaN or infinite"):
        minikd.evaluate(broken, problems.dataset())
