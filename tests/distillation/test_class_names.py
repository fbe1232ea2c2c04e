"""Classes are matched by name: in another order they are mapped, others are refused, and both are said."""

import copy
import pickle
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.console.notices import Notice
from minikd.distillation.class_names import match
from minikd.errors import CheckpointError, ConfigError
from tests import problems

PLAN = minikd.Plan(epochs=6, batch_size=10, learning_rate=0.02)
TURNED = (2, 0, 1)
"""Which class of `problems.dataset` is each class of `turned`."""


def turned(order=TURNED):
    """The same images and classes, counted otherwise."""
    data = problems.dataset()
    number = np.argsort(order)
    names = tuple(data.class_names[k] for k in order)
    train, test = number[data.train_labels], number[data.test_labels]
    return replace(data, train_labels=train, test_labels=test, class_names=names)


def renamed(*names):
    return replace(problems.dataset(), class_names=names)


@pytest.fixture(scope="module")
def teacher():
    model = problems.cnn()
    minikd.train(model, problems.dataset(), PLAN)
    return model


def test_the_same_names_in_the_same_order_need_no_word():
    assert match(("bird", "cat"), ("bird", "cat"), "m", "d") == (0, 1)


def test_another_order_is_mapped_and_said():
    with pytest.warns(Notice, match=r"m has the classes of d in another order, 'cat', 'dog', 'bird'; .*by name"):
        assert match(("cat", "dog", "bird"), ("bird", "cat", "dog"), "m", "d") == (2, 0, 1)


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        (("bird", "cat", "dog"), ("a_dog", "bird", "cat"), "m knows other classes than d has: 'dog', where the data "),
        (("bird", "cat", "dog"), ("a_dog", "bird", "cat"), r"'a_dog' \(2 more in common\)"),
        (("cat", "dog"), ("Cat", "dog"), "they differ in case, blanks or signs alone"),
        (("hot dog", "cat"), ("hot_dog", "cat"), "they differ in case, blanks or signs alone"),
        (("cat", "dog "), ("cat", "dog"), "they differ in case, blanks or signs alone"),
        (("1", "2", "3"), ("a", "b", "c"), "'1', '2', '3', where the data has 'a', 'b', 'c'"),
        (("0", "1"), ("1", "2"), "'0', where the data has '2'"),
        (tuple(f"x{k}" for k in range(100)), tuple(f"y{k}" for k in range(100)), "'x7' and 92 more, where"),
        (("a", "a", "b"), ("a", "b", "c"), "where the data has 'c'"),
    ],
)
def test_other_names_are_refused_with_both_lists(theirs, ours, words):
    with pytest.raises(CheckpointError, match=words):
        match(theirs, ours, "m", "d")


def test_classes_that_are_numbers_count_in_their_order_and_it_is_said():
    names = "t-shirt", "trouser", "pullover", "dress"
    with pytest.warns(
        Notice, match=r"d has numbers .* order of the classes is used: 0 is 't-shirt', 1 is 'trouser', .*, \.\.\."
    ):
        assert match(names, ("0", "1", "2", "3"), "m", "d") == (0, 1, 2, 3)
    with pytest.warns(
        Notice, match=r"m has numbers as class names, so the order of the classes is used: 0 is 't-shirt'"
    ):
        assert match(("0", "1", "2", "3"), names, "m", "d") == (0, 1, 2, 3)


def test_numbers_in_another_order_are_names_like_others():
    with pytest.warns(Notice, match="another order"):
        assert match(("2", "0", "1"), ("0", "1", "2"), "m", "d") == (1, 2, 0)


def test_an_accent_may_be_written_in_two_ways():
    names = ("bird", "caf\u00e9")
    assert match(names, tuple(unicodedata.normalize("NFD", name) for name in names), "m", "d") == (0, 1)


def test_evaluation_matches_names(teacher):
    with pytest.warns(Notice, match="another order"):
        found = minikd.evaluate(teacher, turned())
    assert found == minikd.evaluate(teacher, problems.dataset())
    assert found.accuracy > 0.9
    with pytest.raises(ConfigError, match=r"the model knows other classes.*or remove the names: .*class_names = \(\)"):
        minikd.evaluate(teacher, renamed("a", "b", "c"))


def test_a_model_that_has_forgotten_its_names_counts_by_number(teacher):
    bare = teacher.copy()
    bare.class_names = ()
    assert minikd.evaluate(bare, turned()).accuracy < 0.1


def test_a_student_learns_its_datas_order_from_a_teacher_of_another(teacher):
    """α = 1: all that it knows it has from the teacher."""
    learner = problems.mlp(seed=3)
    with pytest.warns(Notice, match="the teacher has the classes of bars in another order"):
        minikd.distill(teacher, learner, turned(), PLAN, alpha=1.0)
    assert learner.class_names == turned().class_names
    assert minikd.evaluate(learner, turned()).accuracy > 0.9


def test_teachers_may_each_have_an_order_of_their_own(teacher):
    other, learner, data = problems.mlp(seed=5), problems.mlp(seed=3), turned((1, 0, 2))
    minikd.train(other, turned(), PLAN)
    with pytest.warns(Notice, match="another order"):
        minikd.distill([teacher, other], learner, data, PLAN, alpha=1.0)
    assert minikd.evaluate(learner, data).accuracy > 0.9


def test_a_teacher_of_other_classes_is_refused(teacher):
    with pytest.raises(ConfigError, match="the teacher knows other classes"):
        minikd.distill(teacher, problems.mlp(), renamed("a", "b", "c"), PLAN)


@pytest.mark.parametrize(
    "verb", [minikd.train, minikd.evaluate, lambda model, data: minikd.distill(model, model.copy(), data)]
)
def test_fewer_classes_are_other_classes_and_told_by_name(verb, teacher):
    data = problems.dataset()
    train, test = data.train_labels < 2, data.test_labels < 2
    parts = data.train_images[train], data.train_labels[train], data.test_images[test], data.test_labels[test]
    fewer = minikd.Dataset("two", *parts, data.class_names[:2])
    with pytest.raises(
        ConfigError, match=r"knows other classes than two has: 'rows 4-5', where the data has none \(2 m"
    ):
        verb(teacher.copy(), fewer)


def test_a_teacher_is_as_it_was_after_it_has_taught(teacher):
    before = teacher.copy()
    with pytest.warns(Notice):
        minikd.distill(teacher, problems.mlp(), turned(), minikd.Plan(epochs=1))
    assert problems.same_bits(before, teacher)
    assert teacher.class_names == problems.dataset().class_names


def test_training_goes_on_in_the_models_own_order(teacher):
    model = teacher.copy()
    with pytest.warns(Notice, match="another order"):
        minikd.train(model, turned(), minikd.Plan(epochs=1, learning_rate=1e-4))
    assert model.class_names == problems.dataset().class_names
    assert minikd.evaluate(model, problems.dataset()).accuracy > 0.9


def test_a_students_own_order_stays(teacher):
    learner = problems.mlp(seed=3)
    minikd.train(learner, problems.dataset(), minikd.Plan(epochs=1))
    with pytest.warns(Notice, match="the student has the classes of bars in another order"):
        minikd.distill(teacher, learner, turned(), PLAN, alpha=1.0)
    assert minikd.evaluate(learner, problems.dataset()).accuracy > 0.9


def test_names_go_with_a_model_wherever_it_goes(teacher, tmp_path):
    names = problems.dataset().class_names
    minikd.save(tmp_path / "t.safetensors", teacher, problems.dataset())
    moved = [minikd.load_model(tmp_path / "t.safetensors")[0], teacher.copy(), teacher.astype("float64")]
    moved += [copy.copy(teacher), copy.deepcopy(teacher), pickle.loads(pickle.dumps(teacher))]
    assert [model.class_names for model in moved] == [names] * 6


def test_a_model_is_saved_under_its_own_names(teacher, tmp_path):
    with pytest.warns(Notice, match="another order"):
        minikd.save(tmp_path / "t.safetensors", teacher, turned())
    assert minikd.load_model(tmp_path / "t.safetensors")[1].class_names == problems.dataset().class_names


def test_a_model_that_does_not_end_in_a_dense_layer_teaches_by_name_too():
    rng = np.random.default_rng(0)
    features = nn.Conv2d(1, 8, 3, rng), nn.ReLU(), nn.Conv2d(8, 3, (4, 4), rng), nn.Flatten()
    model, learner = nn.Sequential(*features), problems.mlp(seed=3)
    minikd.train(model, problems.dataset(), PLAN)
    with pytest.warns(Notice):
        minikd.distill(model, learner, turned(), PLAN, alpha=1.0)
    assert minikd.evaluate(learner, turned()).accuracy > 0.9
