"""Transfer sets without some classes, and the move of the biases."""

import numpy as np
import pytest

from minikd.distillation.prepare import Data
from minikd.evidence.experiments.missing_classes import best_move, errors, only_classes, with_moved_logits
from tests.evidence.experiments.makers import recipe_of


def test_only_these_classes_are_left_to_the_student(data, tmp_path):
    recipe = recipe_of(data)
    before = Data.of(recipe)
    after = only_classes((0, 2), before, recipe, tmp_path)
    assert set(after.transfer.labels) == {0, 2}
    kept = np.flatnonzero(before.transfer.labels != 1)
    np.testing.assert_array_equal(after.transfer.images, before.transfer.images[kept])
    assert set(after.train.labels) == set(after.watched.labels) == {0, 1, 2}


def test_the_best_move_makes_up_for_a_bias():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 2000)
    fair = 3.0 * np.eye(4)[labels] + rng.normal(size=(2000, 4))
    biased = fair - np.array([0, 3.5, 0, 0])
    move = best_move(biased, labels, (1,))
    assert move == pytest.approx(3.5, abs=0.5)
    after = errors(with_moved_logits(biased, (1,), move), labels)
    assert after <= errors(fair, labels) < errors(biased, labels)
    assert errors(biased, labels, (1,)) == np.sum((biased.argmax(1) != labels) & (labels == 1))


def test_nothing_is_moved_without_a_reason():
    assert best_move(10 * np.eye(3), np.arange(3), (1,)) == 0.0
