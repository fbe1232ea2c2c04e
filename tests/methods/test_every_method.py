"""What holds for every method: its gradient, its settings, its refusals, images without labels, a device."""

from dataclasses import fields, replace

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.errors import ConfigError
from minikd.losses import cross_entropy
from minikd.methods import METHODS, Pair, build, check, refusal, usable
from minikd.methods.curriculum_temperature import CurriculumObjective
from minikd.methods.mutual import MutualObjective
from minikd.training import Plan, loop
from minikd.training.objective import Step
from minikd.training.run import Run
from tests import problems
from tests.methods.makers import convolutional, objective_of, smooth, total

FIRST = Step(0.0, np.random.default_rng(0))
UNLABELLED = [name for name, kind in METHODS.items() if "labels" not in kind.needs]


def case(name, labels=None, dtype="float64"):
    """Return a student, its objective and views; `labels` stand in the place of the problem's own."""
    views = problems.views(12, dtype=np.dtype(dtype).type)
    views = views if labels is None else replace(views, labels=labels)
    student = (convolutional() if name == "attention_transfer" else smooth()).astype(dtype)
    layers = {"teacher_layer": "0"} if name == "attention_transfer" else {}
    return student, objective_of(name, student, [problems.cnn(norm=False).astype(dtype)], views, **layers), views


def check_derivative(student, objective, views, shards=1):
    """Hold a step's gradient, in shards, beside the difference of the whole batch's loss along a random direction."""
    run = Run(student, views, objective, Plan(epochs=1, batch_size=12))
    along = np.random.default_rng(4).standard_normal(run.vector.size)
    if isinstance(objective, CurriculumObjective | MutualObjective):
        along[student.size :] = 0  # its own parameters climb the student's loss, or have losses of theirs
    index, sides, start, eps = np.arange(12), [], run.vector.copy(), 1e-6
    run.shards = shards
    gradient = loop.step(run, index, 0.0).gradient
    for sign in (1, -1):
        run.vector[:] = start + sign * eps * along
        sides.append(total(student, objective, views.batch(0, index)).loss)
    assert gradient @ along == pytest.approx((sides[0] - sides[1]) / (2 * eps), rel=1e-6)
    run.release()


@pytest.mark.parametrize("name", METHODS)
def test_a_steps_gradient_is_the_derivative_of_the_methods_loss(name):
    """Through logits, taps and what is trained beside the student, in the very vector that the optimiser steps."""
    check_derivative(*case(name))


@pytest.mark.parametrize("name", METHODS)
def test_shards_add_up_to_the_batch_or_the_method_says_that_it_looks_across(name):
    if name == "noisy_teacher":
        pytest.skip("each shard draws its own noise")
    student, objective, views = case(name)
    if objective.across_batch:
        assert Run(student, views, objective, Plan(shards=3)).shards == 1
    else:
        check_derivative(student, objective, views, shards=5)


def test_the_methods_that_look_across_the_batch():
    """A sample's loss depends on the other samples in its batch, so a shard of the batch has another loss."""
    across = {name for name in METHODS if case(name)[1].across_batch}
    assert across == {"dist", "similarity_preserving", "rkd", "pkt", "contrastive"}


@pytest.mark.parametrize("share", ["some", "none"])
@pytest.mark.parametrize("name", UNLABELLED)
def test_the_gradient_is_right_where_labels_are_missing(name, share):
    labels = problems.views(12).labels.copy()
    labels[:: 3 if share == "some" else 1] = -1
    check_derivative(*case(name, labels))


@pytest.mark.parametrize("name", UNLABELLED)
def test_the_labels_term_is_the_mean_over_the_batch_of_those_that_have_one(name):
    labels = problems.views(12).labels.copy()
    labels[:5] = -1
    student, objective, views = case(name, labels)
    batch = views.batch(0, np.arange(12))
    terms, logits = problems.terms_of(student, objective, batch, FIRST)
    (hard,) = [term for term in terms if term.name == "hard"]
    wanted, gradient = cross_entropy(logits[5:], labels[5:])
    assert hard.loss == pytest.approx(wanted * 7 / 12)
    np.testing.assert_allclose(hard.dlogits[5:], gradient * 7 / 12, rtol=1e-9)
    assert not hard.dlogits[:5].any()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_counts_as_one_for_images_without_a_label(alpha):
    labels = problems.views(12).labels.copy()
    student, _, views = case("soft_targets")
    labels[[1, 4, 5]] = -1
    objective = objective_of("soft_targets", student, [problems.cnn(norm=False).astype("float64")], views, alpha=alpha)
    batch = replace(views, labels=labels).batch(0, np.arange(12))
    found = total(student, objective, batch)
    z, v = student(batch.images), objective.teacher(batch).logits
    each = [
        minikd.losses.distillation_loss(z[i : i + 1], v[i : i + 1], abs(labels[i : i + 1]), 4.0, a)
        for i, a in enumerate(np.where(labels < 0, 1.0, alpha))
    ]
    assert found.loss == pytest.approx(np.mean([loss for loss, _ in each]))
    np.testing.assert_allclose(found.dlogits, np.concatenate([dz for _, dz in each]) / 12, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_through_the_api_and_repeats_to_the_bit(name):
    data = problems.dataset()
    layers = {"teacher_layer": "0"} if name == "attention_transfer" else {}
    students = []
    for _ in range(2):
        students.append(convolutional() if name == "attention_transfer" else smooth())
        before = students[-1].vector.copy()
        minikd.distill(problems.cnn(), students[-1], data, minikd.Plan(epochs=2, batch_size=8), name, **layers)
        assert not np.array_equal(students[-1].vector, before)
        assert np.isfinite(students[-1].vector).all()
    assert problems.same_bits(*students)


@pytest.mark.parametrize("name", METHODS)
def test_the_last_batch_of_an_epoch_may_have_one_image(name):
    """The terms that compare images leave it out."""
    data = problems.dataset(train=9)
    layers = {"teacher_layer": "0"} if name == "attention_transfer" else {}
    student = convolutional() if name == "attention_transfer" else smooth()
    minikd.distill(problems.cnn(), student, data, minikd.Plan(epochs=1, batch_size=4), name, **layers)
    assert np.isfinite(student.vector).all()


@pytest.mark.parametrize("name", UNLABELLED)
def test_one_image_without_a_label_is_taught_what_there_is(name):
    """The last of an epoch: a term that compares images leaves it out, and a method may have no other."""
    student, objective, views = case(name, labels=np.full(12, -1))
    found = total(student, objective, views.batch(0, np.arange(1)))
    assert np.isfinite(float(found.loss))
    assert found.dlogits.shape == (1, problems.CLASSES)
    if name == "dist":
        assert float(found.loss) == 0
        assert not found.dlogits.any()


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_has_a_meaning_and_a_default_that_is_allowed(name):
    kind = METHODS[name]
    assert kind.name == name
    assert not kind.summary.endswith(".")
    assert any(char.isdigit() for char in kind.paper)
    for one in fields(kind):
        assert one.metadata["help"]
        assert build(name, {one.name: one.default} if one.default is not None else {}) == kind()


NUMBERS = [(name, one) for name, kind in METHODS.items() for one in fields(kind) if not isinstance(one.default, str)]


@pytest.mark.parametrize(("name", "one"), NUMBERS, ids=lambda part: getattr(part, "name", part))
def test_every_number_of_a_method_makes_a_difference(name, one):
    """To the loss, or to what is trained of it, early in a run or in its middle."""
    other = 1.7 if one.default is None else one.default + 1 if isinstance(one.default, int) else one.default / 2 + 0.1
    other = 0.3 if one.name == "final_alpha" else other
    seen = []
    for settings in ({}, {one.name: other}):
        student, _, views = case(name)
        layers = {"teacher_layer": "0"} if name == "attention_transfer" else {}
        teacher = problems.cnn(norm=False).astype("float64")
        objective = objective_of(name, student, [teacher], views, **layers, **settings)
        found = [total(student, objective, views.batch(0, np.arange(12)), progress) for progress in (0.03, 0.5)]
        seen.append([(float(one.loss), {key: value.tolist() for key, value in one.grads.items()}) for one in found])
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("soft_targets", {"temperature": 0.0}, r"soft_targets: temperature is 0.0, but must be finite and positive"),
        ("soft_targets", {"temperature": np.nan}, r"temperature is nan"),
        ("soft_targets", {"alpha": 1.5}, r"alpha is 1.5, but must lie in 0 to 1"),
        ("soft_targets", {"final_alpha": -0.1}, r"final_alpha is -0.1, but must lie in 0 to 1"),
        ("soft_targets", {"final_temperature": "hot"}, r"final_temperature is 'hot', but must be of type float"),
        ("soft_targets", {"schedule": "bent"}, r"schedule is 'bent', but must be one of linear, cosine"),
        ("curriculum_temperature", {"temperature": 1.0}, r"temperature is 1.0, but must be less than 21 and above 1"),
        ("deep_mutual_learning", {"peers": 0}, r"peers is 0, but must be less than 101 and at least 1"),
        ("hint", {"stage": 1.0}, r"stage is 1.0, but must be less than 1"),
        (
            "rkd",
            {"wieght": 1.0},
            r"rkd: unknown setting 'wieght'; did you mean 'weight'\? known are temperature=4.0, .*",
        ),
        ("distill", {}, r"method is 'distill', but must be one of soft_targets, "),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_right(name, settings, words):
    with pytest.raises(ConfigError, match=words):
        build(name, settings)


def test_whole_numbers_are_fine_for_settings_that_are_not():
    assert build("dkd", {"beta": 4}).beta == 4.0
    assert isinstance(build("soft_targets", {"final_temperature": 1}).final_temperature, float)


def pair(student, *teachers, labelled=True):
    return Pair(student, teachers or (problems.cnn(),), problems.SHAPE, labelled)


def two_classes():
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 2, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("name", "at_hand", "words"),
    [
        ("attention_transfer", pair(problems.mlp()), "the student 36-8-3 has none at any hidden layer"),
        ("attention_transfer", pair(problems.cnn(), problems.mlp()), "the teacher 36-8-3 has none at any hidden layer"),
        ("hint", pair(two_classes()), "needs a hidden layer, but the student 36-2 has none"),
        ("hint", pair(problems.mlp(), problems.cnn(), problems.cnn()), "there are 2 teachers"),
        ("dkd", pair(problems.mlp(), labelled=False), "needs a label for each image"),
        ("dkd", pair(two_classes()), "with 2 classes there are no others"),
        ("label_smoothing", pair(problems.mlp(), labelled=False), "needs a label for each image"),
        ("deep_mutual_learning", pair(problems.cnn()), "running statistics"),
    ],
)
def test_a_method_says_why_it_cannot_be_used_and_which_can(name, at_hand, words):
    assert words in refusal(build(name, {}), at_hand)
    others = usable(at_hand)
    assert name not in others
    assert "soft_targets" in others
    with pytest.raises(ConfigError, match=rf"{name} cannot be used: .*{words}.*; these would work: soft_targets, "):
        check(build(name, {}), at_hand)


def test_several_teachers_are_one_at_one_temperature():
    at_hand = pair(problems.mlp(), problems.cnn(), problems.cnn())
    assert refusal(build("soft_targets", {}), at_hand) == ""
    assert "one temperature" in refusal(build("soft_targets", {"final_temperature": 1.0}), at_hand)
    assert "one temperature" in refusal(build("curriculum_temperature", {}), at_hand)


def test_a_virtual_teacher_must_know_more_than_a_guess():
    assert "only guesses among 3 classes" in refusal(build("virtual_teacher", {"correct": 0.3}), pair(problems.mlp()))
