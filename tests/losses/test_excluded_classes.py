"""A class that a logit of -∞ excludes: it counts as if it were not there, and 0·∞ is never NaN."""

import numpy as np
import pytest

from minikd import losses
from minikd.methods.ensemble import ensemble_logits

N, K, OUT = 4, 5, 2
LABELS = np.array([0, 4, 1, 3])
LABELS_WITHOUT = np.array([0, 3, 1, 2])


def logits(seed, dtype="float64"):
    return np.random.default_rng(seed).normal(0, 2, (N, K)).astype(dtype)


def soft(z):
    q = np.exp(z - z.max(1, keepdims=True))
    return q / q.sum(1, keepdims=True)


OF_TWO = {
    "kl_divergence": lambda z, v, labels: losses.kl_divergence(z, v, 3.0),
    "reverse_kl": lambda z, v, labels: losses.reverse_kl(z, v, 3.0),
    "jensen_shannon": lambda z, v, labels: losses.jensen_shannon(z, v, 3.0, 0.3),
    "soft_cross_entropy": lambda z, v, labels: losses.soft_cross_entropy(z, v, 3.0),
    "distillation_loss": lambda z, v, labels: losses.distillation_loss(z, v, labels, 3.0, 0.6),
    "dkd": lambda z, v, labels: losses.dkd(z, v, labels, 3.0, 1.0, 2.0),
    "kl_with_temperature": lambda z, v, labels: losses.kl_with_temperature(z, v, 3.0)[:2],
    "cross_entropy": lambda z, v, labels: losses.cross_entropy(z, labels),
    "cross_entropy, soft labels": lambda z, v, labels: losses.cross_entropy(z, losses.softmax(v)),
}
each = pytest.mark.parametrize("loss", OF_TWO.values(), ids=OF_TWO)


def without(a):
    return np.delete(a, OUT, axis=1)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_class_that_both_exclude_is_as_if_it_were_not_there(loss, dtype):
    z, v = logits(0, dtype), logits(1, dtype)
    z[:, OUT] = v[:, OUT] = -np.inf
    value, dz = loss(z, v, LABELS)
    wanted, dwanted = loss(without(z).copy(), without(v).copy(), LABELS_WITHOUT)
    assert value == pytest.approx(wanted, rel=1e-5 if dtype == "float32" else 1e-12)
    assert value.dtype == dtype
    assert (dz[:, OUT] == 0).all()
    np.testing.assert_allclose(without(dz), dwanted, rtol=1e-4, atol=1e-6)


def test_the_gradient_by_the_temperature_passes_an_excluded_class_over():
    z, v = logits(0), logits(1)
    z[:, OUT] = v[:, OUT] = -np.inf
    wanted = losses.kl_with_temperature(without(z), without(v), 3.0)[2]
    assert losses.kl_with_temperature(z, v, 3.0)[2] == pytest.approx(wanted)


@pytest.mark.parametrize(
    "name", ["kl_divergence", "soft_cross_entropy", "jensen_shannon", "distillation_loss", "dkd", "kl_with_temperature"]
)
def test_a_class_that_the_teacher_alone_excludes_costs_the_students_part_of_it_and_is_pushed_down(name):
    z, v = logits(0), logits(1)
    v[:, OUT] = -np.inf
    value, dz = OF_TWO[name](z, v, LABELS)
    far = np.where(np.isinf(v), -1000.0, v)  # as good as excluded
    wanted, dwanted = OF_TWO[name](z, far, LABELS)
    assert value == pytest.approx(wanted)
    np.testing.assert_allclose(dz, dwanted, atol=1e-12)
    assert (dz[:, OUT] > 0).all()


@pytest.mark.parametrize(
    "name", ["kl_divergence", "soft_cross_entropy", "distillation_loss", "dkd", "cross_entropy, soft labels"]
)
def test_a_class_that_the_student_alone_excludes_makes_the_loss_infinite_and_the_gradient_finite(name):
    z, v = logits(0), logits(1)
    z[:, OUT] = -np.inf
    value, dz = OF_TWO[name](z, v, LABELS)
    assert value == np.inf
    assert np.isfinite(dz).all()


def test_a_label_whose_class_is_excluded_costs_infinitely_much():
    z = logits(0)
    z[1, 4] = -np.inf
    value, dz = losses.cross_entropy(z, LABELS)
    assert value == np.inf
    np.testing.assert_allclose(dz[1], (soft(z)[1] - np.eye(K)[4]) / N)
    z = logits(0)
    z[:, OUT] = -np.inf
    assert losses.cross_entropy(z, LABELS)[0] < np.inf
    assert losses.cross_entropy(z, LABELS, label_smoothing=0.1)[0] == np.inf


def test_the_divergence_from_a_teacher_that_excludes_what_the_student_does_not_is_infinite_the_other_way_round():
    z, v = logits(0), logits(1)
    v[:, OUT] = -np.inf
    with np.errstate(invalid="ignore"):
        assert losses.reverse_kl(z, v, 3.0)[0] == np.inf


def test_a_bounded_divergence_stays_bounded():
    z, v = np.full((1, 2), -np.inf), np.full((1, 2), -np.inf)
    z[0, 0] = v[0, 1] = 0.0
    value, dz = losses.jensen_shannon(z, v, 1.0, 0.5)
    assert value == pytest.approx(4 * np.log(2))
    assert (dz == 0).all()


@pytest.mark.parametrize("excluded", ["teacher", "student", "both"])
def test_dkd_where_nothing_but_the_label_is_left(excluded):
    z, v = logits(0), logits(1)
    for who, a in (("teacher", v), ("student", z)):
        if excluded in (who, "both"):
            a[0] = np.where(np.arange(K) == LABELS[0], a[0], -np.inf)
    value, dz = losses.dkd(z, v, LABELS)
    assert np.isfinite(dz).all()
    assert np.isinf(value) == (excluded == "student")
    if excluded == "both":
        assert value == pytest.approx(losses.dkd(z[1:], v[1:], LABELS[1:])[0] * (N - 1) / N)
        assert (dz[0] == 0).all()
    if excluded == "teacher":
        far = np.where(np.isinf(v), -1000.0, v)
        assert (losses.dkd(z, far, LABELS, alpha=1.0, beta=0.0)[0]) == pytest.approx(
            losses.dkd(z, v, LABELS, alpha=1.0, beta=0.0)[0]
        )


def test_a_term_of_weight_0_does_not_count_though_it_be_infinite():
    z, v = logits(0), logits(1)
    z[:, OUT] = -np.inf
    hard = losses.cross_entropy(z, LABELS)
    value, dz = losses.distillation_loss(z, v, LABELS, alpha=0.0)
    assert value == hard[0] < np.inf
    np.testing.assert_array_equal(dz, hard[1])
    assert losses.dkd(z, v, LABELS, alpha=1.0, beta=0.0)[0] < np.inf


def test_softmax_of_an_excluded_class_is_0_and_its_gradient_too():
    z = logits(0)
    z[:, OUT] = -np.inf
    q, logq, upstream = losses.softmax(z), losses.log_softmax(z), logits(3)
    assert (q[:, OUT] == 0).all()
    assert (logq[:, OUT] == -np.inf).all()
    np.testing.assert_allclose(without(q), soft(without(z)))
    assert (losses.softmax_backward(upstream, q)[:, OUT] == 0).all()


def test_a_row_that_excludes_every_class_is_nan():
    z = logits(0)
    z[1] = -np.inf
    with np.errstate(invalid="ignore"):
        logq, q = losses.log_softmax(z), losses.softmax(z)
    for found in (logq, q):
        assert np.isnan(found).all(1).tolist() == [False, True, False, False]


def test_a_class_that_all_teachers_exclude_stays_excluded():
    one, two = logits(0), logits(1)
    one[:, OUT] = two[:, OUT] = -np.inf
    one[:, 0] = -np.inf
    p = losses.softmax(ensemble_logits([one, two], 2.0), 2.0)
    np.testing.assert_allclose(p, (losses.softmax(one, 2.0) + losses.softmax(two, 2.0)) / 2, atol=1e-12)
    assert (p[:, OUT] == 0).all()
    assert (p[:, 0] > 0).all()
