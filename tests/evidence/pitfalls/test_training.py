"""Pairs of trainings are pairs, a bug that is none costs nothing, and the numbers are what they say."""

from dataclasses import replace

import numpy as np
import pytest

from minikd.data import Dataset
from minikd.evidence.pitfalls import PITFALLS, RIGHT, Conditions
from minikd.evidence.pitfalls.training import Cost, PairedTraining, Trainings, costs

pytestmark = pytest.mark.numpy_only("the pitfalls are shown on NumPy")

TINY = PairedTraining(
    teacher_images=200, teacher_hidden=24, teacher_epochs=60, images=150, hidden=16, epochs=30, judged=100
)


def bars(count=300, seed=0):
    """Return a data set of ten classes: a bright row each, under noise."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10)
    images = rng.integers(0, 140, (count, 1, 10, 10), dtype=np.uint8)
    images[np.arange(count), 0, labels] += 60
    return Dataset("bars", images, labels, images[:20], labels[:20], tuple("0123456789"))


@pytest.fixture(scope="module")
def trainings():
    return Trainings(bars(), TINY, map)


def test_a_bug_that_is_none_costs_nothing_bit_for_bit(trainings):
    cost = trainings.cost(replace(PITFALLS["class-mean"], wrong=RIGHT), range(2))
    assert cost.right == cost.wrong
    assert (cost.mean, cost.margin, cost.p, cost.judged) == (0, 0, (1, 1), 100)


def test_seeds_differ(trainings):
    a, b = (trainings.right(Conditions(), seed) for seed in (0, 1))
    assert not np.array_equal(a, b)


def test_the_student_of_swapped_networks_has_learnt_nothing(trainings):
    cost = trainings.cost(PITFALLS["swapped-networks"], [0])
    assert cost.wrong[0] > 70 > cost.right[0]
    assert cost.p[0] < 0.01
    assert cost.margin is None


@pytest.mark.parametrize("name", sorted(set(PITFALLS) - {"swapped-networks"}))
def test_every_bug_makes_another_student(name, trainings):
    pitfall = PITFALLS[name]
    wrong = trainings.student(pitfall.wrong, pitfall.where, 0)
    assert np.isfinite(wrong).all()
    assert np.abs(wrong - trainings.right(pitfall.where, 0)).max() > 1e-3


def test_training_leaves_the_teachers_as_they_were(trainings):
    before = [teacher.vector.copy() for teacher in trainings.teachers]
    trainings.student(PITFALLS["swapped-networks"].wrong, Conditions(), 3)
    assert all(np.array_equal(a, teacher.vector) for a, teacher in zip(before, trainings.teachers, strict=True))


def test_a_cost_is_a_mean_with_a_student_s_interval():
    cost = Cost((10, 12, 11), (20, 26, 21), (0.1, 0.2, 0.3), 100)
    assert cost.mean == pytest.approx(34 / 3)
    deviation = np.std([10, 14, 10], ddof=1)
    assert cost.margin == pytest.approx(4.302652729749464 * deviation / np.sqrt(3))


def test_costs_say_what_is_under_way():
    said = []
    found, alone = costs([PITFALLS["no-t-squared"]], bars(), 1, said.append, replace(TINY, epochs=1))
    assert said == ["training the teachers", "training with and without no-t-squared", "training without a teacher"]
    assert list(found) == ["no-t-squared"]
    assert len(alone) == 1
