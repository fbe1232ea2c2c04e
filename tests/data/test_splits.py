import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd.data import Dataset, hold_out
from minikd.data.splits import split_by_class, stratified_folds
from minikd.errors import ConfigError

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@settings(deadline=None)
@given(labels=LABELS, seed=st.integers(0, 5), data=st.data())
def test_parts_make_up_the_whole_and_every_class_keeps_one(labels, seed, data):
    count = data.draw(st.integers(0, len(labels) - len(np.unique(labels))))
    kept, taken = split_by_class(labels, count, seed)
    assert len(taken) == count
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, taken])), np.arange(len(labels)))
    assert set(labels[kept]) == set(labels)


def test_classes_are_taken_in_proportion():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    _, taken = split_by_class(labels, 100, seed=3)
    np.testing.assert_array_equal(np.bincount(labels[taken]), [60, 30, 10])


def test_the_seed_chooses_and_repeats():
    labels = np.arange(1000) % 10
    first, again, other = (split_by_class(labels, 100, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 40  # about 10 by chance


def test_hold_out_indexes_the_training_set_alone():
    train, test = np.zeros((20, 1, 2, 2), np.uint8), np.zeros((5, 1, 2, 2), np.uint8)
    dataset = Dataset("toy", train, np.arange(20) % 2, test, np.arange(5) % 2, ("a", "b"))
    kept, taken = hold_out(dataset, 6, seed=0)
    assert (len(kept), len(taken)) == (14, 6)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, taken])), np.arange(20))


@pytest.mark.parametrize("count", [-1, 9, 10, 100])
def test_refuses_to_leave_a_class_without_images(count):
    with pytest.raises(ConfigError, match=f"cannot hold out {count} of 10 images: the number must be 0 to 8"):
        split_by_class(np.arange(10) % 2, count, seed=0)


@settings(deadline=None)
@given(labels=LABELS, seed=st.integers(0, 5), count=st.integers(2, 5))
def test_folds_take_every_sample_once_and_each_class_in_proportion(labels, seed, count):
    folds = stratified_folds(labels, count, seed)
    alone = np.flatnonzero(np.bincount(labels)[labels] == 1)
    everywhere = np.concatenate([taken for _, taken in folds])
    np.testing.assert_array_equal(np.sort(np.concatenate([everywhere, alone])), np.arange(len(labels)))
    sizes = [len(taken) for _, taken in folds]
    by_class = np.array([np.bincount(labels[taken], minlength=5) for _, taken in folds])
    assert max(sizes) - min(sizes) <= 1
    assert (np.ptp(by_class, axis=0) <= 1).all()


@settings(deadline=None)
@given(labels=LABELS, seed=st.integers(0, 5), count=st.integers(2, 5))
def test_in_every_fold_every_class_has_samples_to_learn_from(labels, seed, count):
    """Also a class of two or three samples, and one of a single sample."""
    for kept, taken in stratified_folds(labels, count, seed):
        assert set(labels[kept]) == set(labels)
        np.testing.assert_array_equal(np.sort(np.concatenate([kept, taken])), np.arange(len(labels)))


def test_classes_of_two_and_three_images_are_held_out_in_proportion_and_keep_one():
    labels = np.concatenate([np.repeat(np.arange(10), 2), np.repeat(np.arange(10, 20), 3)])
    kept, taken = split_by_class(labels, 20, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[taken], minlength=20), np.ones(20))
    np.testing.assert_array_equal(np.unique(labels[kept]), np.arange(20))
    for _, fold in stratified_folds(labels, 3, seed=0):
        assert np.bincount(labels[fold]).max() == 1
