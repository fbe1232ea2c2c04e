"""Each bug is the bug that it says it is: its formula written down a second time, and what right code would do."""

import math

import numpy as np
import pytest

from minikd.evidence.pitfalls import Conditions, losses
from minikd.evidence.pitfalls.data import SequentialCache, mean_of_logits, shuffled_apart, stale
from minikd.evidence.pitfalls.modes import forgetful, swapped, training_teacher
from minikd.evidence.pitfalls.scene import TEMPERATURE, scene_of
from minikd.losses import kl_divergence, softmax

pytestmark = pytest.mark.numpy_only("the pitfalls are shown on NumPy")

RNG = np.random.default_rng(3)
N, K, T = 5, 7, 4.0
Z, V = 2 * RNG.standard_normal((N, K)), 3 * RNG.standard_normal((N, K))


@pytest.mark.parametrize(
    ("bug", "wanted"),
    [
        (losses.class_mean, lambda: [part / K for part in kl_divergence(Z, V, T)]),
        (losses.no_t_squared, lambda: [part / T**2 for part in kl_divergence(Z, V, T)]),
        (losses.gradient_apart, lambda: [kl_divergence(Z, V, T)[0], (softmax(Z, T) - softmax(V, T)) / N]),
        (losses.softened_twice, lambda: kl_divergence(Z, softmax(V), T)),
        (losses.over_the_batch, lambda: [a * (K / N) for a in turned(*kl_divergence(Z.T.copy(), V.T.copy(), T))]),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_a_wrong_loss_is_the_right_one_but_for_its_slip(bug, wanted):
    for found, value in zip(bug(Z, V, T), wanted(), strict=True):
        assert np.allclose(found, value, rtol=1e-12)


def turned(loss, dz):
    return loss, dz.T


def test_probabilities_for_logs_is_its_formula():
    q, p = softmax(Z, T), softmax(V, T)
    pairs = zip(p.ravel(), q.ravel(), strict=True)
    wanted = T * T / N * math.fsum(a * (math.log(a) - b) for a, b in pairs)
    assert losses.probabilities_for_logs(Z, V, T)[0] == pytest.approx(wanted)


@pytest.mark.parametrize(
    "bug",
    [
        *(losses.class_mean, losses.no_t_squared, losses.gradient_apart, losses.probabilities_for_logs),
        *(losses.softened_twice, losses.over_the_batch),
    ],
)
def test_a_wrong_loss_keeps_dtype_and_arguments(bug):
    z, v = Z.astype(np.float32), V.astype(np.float32)
    loss, dz = bug(z, v, T)
    assert (np.asarray(loss).dtype, dz.dtype, dz.shape) == (np.float32, np.float32, z.shape)
    assert np.array_equal(z, Z.astype(np.float32))


def test_a_cache_in_order_hands_out_each_answer_once_a_pass_and_to_the_wrong_image():
    scene = scene_of(Conditions())
    logits = np.arange(len(scene.views) * 2.0).reshape(-1, 2)
    cache = SequentialCache(logits, seed=0)
    batches = [scene.views.batch(0, np.arange(start, start + 40)) for start in (0, 40)]
    found = np.concatenate([cache(batch).logits for batch in batches])
    assert sorted(found[:, 0]) == sorted(logits[:, 0])
    assert (found[:, 0] == logits[:, 0]).mean() < 0.1
    again = np.concatenate([cache(batch).logits for batch in batches])
    assert np.array_equal(found, again)
    teacher = shuffled_apart(scene.teachers, scene.views, TEMPERATURE)
    said = np.concatenate([teacher(batch).logits for batch in batches])
    right = scene.teachers[0](scene.views.clean())
    assert np.allclose(np.sort(softmax(said).ravel()), np.sort(softmax(right).ravel()))


def test_a_stale_cache_is_right_in_the_first_epoch_only():
    scene = scene_of(Conditions(shift=3.0))
    teacher = stale(scene.teachers, scene.views, TEMPERATURE)
    for epoch, right in ((0, True), (1, False)):
        batch = scene.batch(epoch)
        said, wanted = softmax(teacher(batch).logits), softmax(scene.teachers[0](batch.images))
        assert np.allclose(said, wanted) == right


def test_the_mean_of_logits_is_that():
    scene = scene_of(Conditions(teachers=2))
    batch = scene.batch(0)
    said = mean_of_logits(scene.teachers, scene.views, TEMPERATURE)(batch).logits
    assert np.allclose(said, (scene.teachers[0](batch.images) + scene.teachers[1](batch.images)) / 2)


def test_a_teacher_in_training_changes_its_mind():
    scene = scene_of(Conditions())
    batch, teacher = scene.batch(0), training_teacher(scene.teachers, scene.views, 1.0)
    first, second = (softmax(teacher(batch).logits) for _ in range(2))
    assert np.abs(first - second).max() > 0.2
    assert np.abs(first - softmax(scene.teachers[0](batch.images))).max() > 0.2
    again = training_teacher(scene.teachers, scene.views, 1.0)
    assert np.array_equal(softmax(again(batch).logits), first)


def test_a_forgetful_student_drops_until_it_is_evaluated():
    scene = scene_of(Conditions(dropout=0.5))
    student, images = forgetful(scene.student), scene.batch(0).images
    kept = student.vector.copy()

    def trained(seed):
        return student.forward_with_taps(images, (), True, np.random.default_rng(seed))[0]

    assert not np.array_equal(trained(0), trained(1))
    evaluated = student(images)
    assert np.array_equal(trained(0), evaluated)
    assert np.array_equal(student.vector, kept)
    assert np.array_equal(kept, scene.student.vector)


def test_swapped_roles_are_swapped():
    scene = scene_of(Conditions())
    learner, guides = swapped(scene.student, scene.teachers)
    assert learner is scene.teachers[0]
    assert list(guides) == [scene.student]
