"""Every pitfall changes the gradient as stated, its check finds it and passes the right version, and says so if not."""

from dataclasses import replace

import numpy as np
import pytest

from minikd.data import Batch
from minikd.evidence.pitfalls import PITFALLS, RIGHT, Conditions, Wiring
from minikd.evidence.pitfalls.checks import CHECKS
from minikd.evidence.pitfalls.examine import examine
from minikd.evidence.pitfalls.report import paragraphs, table
from minikd.evidence.pitfalls.scene import TEMPERATURE, compare_gradients, gradient, network, scene_of, terms_of
from minikd.losses import kl_divergence, softmax
from minikd.methods import SoftTargets
from minikd.training.objective import Answer, Step, add_up

pytestmark = pytest.mark.numpy_only("the pitfalls are shown on NumPy")

T, K = TEMPERATURE, 10


@pytest.fixture(scope="module")
def examined():
    return {name: examine(pitfall) for name, pitfall in PITFALLS.items()}


def test_the_gallery_holds_every_bug_of_the_list():
    assert set(PITFALLS) == {
        *("class-mean", "no-t-squared", "t-squared-one-branch", "gradient-apart", "probabilities-for-logs"),
        *("double-softmax", "wrong-axis", "teacher-in-training", "student-in-evaluation", "swapped-networks"),
        *("shuffled-cache", "stale-cache", "mean-of-logits"),
    }
    for name, pitfall in PITFALLS.items():
        assert pitfall.name == name
        assert all(seen.link.startswith("https://github.com/") and seen.fact for seen in pitfall.seen)
        assert pitfall.seen


@pytest.mark.parametrize("name", PITFALLS)
def test_its_check_finds_it_and_no_check_complains_of_the_right_version(name, examined):
    one = examined[name]
    assert one.found[PITFALLS[name].caught_by]
    assert not any(one.alarms.values())
    assert one.caught


@pytest.mark.parametrize("name", PITFALLS)
def test_so_it_is_on_other_networks_and_images(name):
    assert examine(PITFALLS[name], seed=1).caught


@pytest.mark.parametrize(
    ("name", "length"),
    [("class-mean", 1 / K), ("no-t-squared", 1 / T**2), ("gradient-apart", 1 / T)],
)
def test_a_wrong_factor_shortens_the_gradient_by_just_that(name, length, examined):
    assert examined[name].gradient.ratio == pytest.approx(length, rel=1e-12)
    assert examined[name].gradient.cosine == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        *("t-squared-one-branch", "probabilities-for-logs", "double-softmax", "wrong-axis", "teacher-in-training"),
        *("student-in-evaluation", "shuffled-cache", "stale-cache", "mean-of-logits"),
    ],
)
def test_the_others_turn_the_gradient(name, examined):
    assert abs(examined[name].gradient.cosine) < 0.96


def test_swapped_networks_leave_the_student_without_a_gradient(examined):
    assert examined["swapped-networks"].gradient.ratio == 0
    assert examined["swapped-networks"].gradient.cosine is None


def test_a_gradient_check_finds_only_the_gradient_that_is_not_its_values(examined):
    assert [name for name, one in examined.items() if one.found["gradient check"]] == ["gradient-apart"]


def test_a_check_that_finds_nothing_says_so():
    blind = examine(replace(PITFALLS["class-mean"], caught_by="gradient check"))
    assert not blind.caught
    assert "NOT by gradient check" in table([blind], {})
    assert "WRONG: the check 'gradient check' does not find it" in paragraphs(blind, None)


def test_a_check_that_complains_of_the_right_version_is_told_of():
    one = replace(examine(PITFALLS["class-mean"]), alarms={"formula": "off by one"})
    assert not one.caught
    assert "WRONG: checks reject the right version: formula (off by one)" in paragraphs(one, None)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_finds_something_somewhere(name, examined):
    assert any(one.found[name] for one in examined.values())


def test_the_right_wiring_is_the_package_s_own_method():
    rng = np.random.default_rng(0)
    z, v = rng.standard_normal((6, K)), 3 * rng.standard_normal((6, K))
    labels = np.array([3, -1, 0, -1, 9, 2])
    ours = add_up(terms_of(RIGHT, z, v, labels, 0.7), z, 1.0)
    step = Step(0.0, rng)
    own = add_up(SoftTargets(T, 0.7).terms(Answer(z), Answer(v), Batch(np.arange(6), None, labels), step), z, 1.0)
    assert ours.loss == pytest.approx(own.loss)
    assert np.allclose(ours.dlogits, own.dlogits, rtol=1e-12)


def test_the_right_gradient_is_the_divergence_s_through_the_student():
    scene = scene_of(Conditions())
    batch = scene.batch(1)
    z, cache = scene.student.forward(batch.images)
    dz = T * (softmax(z, T) - softmax(scene.teachers[0](batch.images), T)) / len(z)
    wanted = scene.student.flat_gradient(scene.student.parameter_gradients(dz, cache))
    assert np.allclose(gradient(RIGHT, scene), wanted, rtol=1e-10)


def test_bend_is_length_and_angle():
    found = compare_gradients(np.array([0.0, 3.0]), np.array([2.0, 0.0]))
    assert (found.ratio, found.cosine) == (1.5, 0.0)
    assert compare_gradients(np.array([-1.0, 0.0]), np.array([2.0, 0.0])).cosine == -1


def test_a_scene_is_as_its_circumstances_say():
    scene = scene_of(Conditions(dropout=0.3, shift=2.0, teachers=2, labelled=0.5))
    assert "Dropout" in repr(scene.student)
    assert scene.views.augmentation.shift == 2
    assert len(scene.teachers) == 2
    assert 0.3 < (scene.views.labels == -1).mean() < 0.7
    plain = scene_of(Conditions())
    assert "Dropout" not in repr(plain.student)
    assert (plain.views.labels >= 0).all()
    shapes = [value.shape for value in network(7, 0.5, (1, 4, 4), np.random.default_rng(0)).params.values()]
    assert shapes == [(7, 16), (7,), (K, 7), (K,)]


def test_a_wrong_loss_of_one_branch_is_asked_for_there_only():
    rng = np.random.default_rng(0)
    z, v = rng.standard_normal((4, K)), rng.standard_normal((4, K))
    labels = np.array([3, -1, 0, -1])
    wiring = Wiring(bare=lambda z, v, T: (kl_divergence(z, v, T)[0] * 0, z * 0))
    dz = add_up(terms_of(wiring, z, v, labels, 1.0), z, 1.0).dlogits
    assert np.array_equal(dz[1::2], np.zeros((2, K)))
    assert np.allclose(dz[::2], kl_divergence(z, v, T)[1][::2])
