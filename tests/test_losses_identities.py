"""What a gradient check cannot see: a loss that is wrong together with its gradient.

A missing T², a mean over the classes, a softmax over the batch are consistent mistakes: value and gradient fit each
other, and neither is what it should be. Here both meet formulas written down a second time, slowly, one float at a
time, and identities that follow from the definitions.
"""

import math

import numpy as np

from minikd import losses

RNG = np.random.default_rng(0)
N, K = 4, 6
Z, V = 2 * RNG.standard_normal((N, K)), 3 * RNG.standard_normal((N, K))
LABELS = np.array([1, 5, 0, 3])
TEMPERATURES = (0.5, 1.0, 4.0, 20.0)


def close(a, b, rel=1e-11):
    return np.allclose(a, b, rtol=rel, atol=rel * np.abs(np.asarray(b)).max(initial=1e-300))


def slow_softmax(row, T=1.0):
    weights = [math.exp(z / T) for z in row]
    return [w / math.fsum(weights) for w in weights]


def slow_kl(z, v, T):
    """T² times the mean over the batch of Σ_k p log(p/q)."""
    rows = zip(z, v, strict=True)
    pairs = [(slow_softmax(student, T), slow_softmax(teacher, T)) for student, teacher in rows]
    sums = [math.fsum(p * math.log(p / q) for q, p in zip(*pair, strict=True)) for pair in pairs]
    return T * T * math.fsum(sums) / len(sums)


def slow_ce(z, targets):
    """Minus the mean over the batch of Σ_k t log q."""
    rows = zip(z, targets, strict=True)
    sums = [math.fsum(-t * math.log(q) for q, t in zip(slow_softmax(row), target, strict=True)) for row, target in rows]
    return math.fsum(sums) / len(sums)


def one_hot(labels, smoothing=0.0):
    return np.eye(K)[labels] * (1 - smoothing) + smoothing / K


def test_softmax_is_the_formula():
    for T in TEMPERATURES:
        assert close(losses.softmax(Z, T), [slow_softmax(row, T) for row in Z])
        assert close(losses.log_softmax(Z, T), np.log([slow_softmax(row, T) for row in Z]))


def test_softmax_sums_to_one_over_the_classes_and_ignores_a_constant():
    for T in TEMPERATURES:
        q = losses.softmax(Z, T)
        assert close(q.sum(1), np.ones(N))
        assert close(losses.softmax(Z + np.arange(N)[:, None], T), q)


def test_softmax_treats_each_sample_alone():
    assert close(losses.softmax(Z[:1], 2.0), losses.softmax(Z, 2.0)[:1])
    assert close(losses.log_softmax(Z[:1], 2.0), losses.log_softmax(Z, 2.0)[:1])


def test_log_softmax_is_exact_where_softmax_underflows():
    assert np.array_equal(losses.log_softmax(np.array([[0.0, -1000.0], [-3e3, 5e3]])), [[0, -1000], [-8000, 0]])


def test_kl_is_the_formula():
    for T in TEMPERATURES:
        loss, dz = losses.kl_divergence(Z, V, T)
        p, q = (np.array([slow_softmax(row, T) for row in a]) for a in (V, Z))
        assert close(loss, slow_kl(Z, V, T))
        assert close(dz, T * (q - p) / N)


def test_kl_is_zero_for_a_student_like_its_teacher_and_positive_otherwise():
    loss, dz = losses.kl_divergence(V + np.arange(N)[:, None], V, 4.0)
    assert abs(loss) < 1e-14
    assert np.abs(dz).max() < 1e-14
    loss, dz = losses.kl_divergence(Z, V, 4.0)
    assert loss > 0.1
    assert np.abs(dz).max() > 0.01


def test_kl_at_high_temperature_matches_centred_logits():
    """Hinton et al. 2015, equation 4, times T²: the gradient keeps its size as T grows."""
    T = 1e4
    gap = (Z - Z.mean(1, keepdims=True)) - (V - V.mean(1, keepdims=True))
    loss, dz = losses.kl_divergence(Z, V, T)
    assert close(dz, gap / (N * K), rel=1e-3)
    assert close(loss, (gap * gap).sum() / (2 * N * K), rel=1e-3)


def test_kl_is_cross_entropy_less_the_teachers_entropy():
    p = losses.softmax(V)
    loss, dz = losses.cross_entropy(Z, p)
    kl, dkl = losses.kl_divergence(Z, V, 1.0)
    assert close(kl, loss + (p * np.log(p)).sum() / N)
    assert close(dkl, dz)


def test_losses_are_means_over_the_batch():
    """Twice the same batch: the same loss, and half the gradient for each sample."""

    def twice(a):
        return np.concatenate([a, a])

    for loss in (
        lambda z, v, labels: losses.kl_divergence(z, v, 4.0),
        lambda z, v, labels: losses.cross_entropy(z, labels, 0.1),
        lambda z, v, labels: losses.distillation_loss(z, v, labels, 4.0, 0.6),
        lambda z, v, labels: losses.mse(z, v),
    ):
        (one, done), (two, dtwo) = loss(Z, V, LABELS), loss(twice(Z), twice(V), twice(LABELS))
        assert close(one, two)
        assert close(twice(done) / 2, dtwo)


def test_gradients_by_logits_sum_to_zero_in_each_row():
    for dz in (
        losses.kl_divergence(Z, V, 4.0)[1],
        losses.cross_entropy(Z, LABELS, 0.1)[1],
        losses.distillation_loss(Z, V, LABELS, 4.0, 0.6)[1],
    ):
        assert np.abs(dz.sum(1)).max() < 1e-15


def test_cross_entropy_is_the_formula():
    for smoothing in (0.0, 0.1, 0.5):
        target = one_hot(LABELS, smoothing)
        q = np.array([slow_softmax(row) for row in Z])
        for loss, dz in (losses.cross_entropy(Z, LABELS, smoothing), losses.cross_entropy(Z, target)):
            assert close(loss, slow_ce(Z, target))
            assert close(dz, (q - target) / N)


def test_cross_entropy_of_ignorance_is_log_k_and_of_certainty_zero():
    assert close(losses.cross_entropy(np.zeros((N, K)), LABELS)[0], math.log(K))
    assert losses.cross_entropy(100 * one_hot(LABELS), LABELS)[0] < 1e-30


def test_distillation_without_teacher_is_cross_entropy_at_temperature_one():
    loss, dz = losses.distillation_loss(Z, V, LABELS, temperature=4.0, alpha=0.0)
    wanted, dwanted = losses.cross_entropy(Z, LABELS)
    assert close(loss, wanted)
    assert close(dz, dwanted)
    assert close(loss, slow_ce(Z, one_hot(LABELS)))


def test_distillation_without_labels_is_the_scaled_divergence():
    loss, dz = losses.distillation_loss(Z, V, LABELS, temperature=4.0, alpha=1.0)
    wanted, dwanted = losses.kl_divergence(Z, V, 4.0)
    assert close(loss, wanted)
    assert close(dz, dwanted)
    assert close(loss, slow_kl(Z, V, 4.0))


def test_distillation_is_the_weighted_sum():
    for T, alpha in ((1.0, 0.5), (4.0, 0.9), (20.0, 0.2)):
        loss, dz = losses.distillation_loss(Z, V, LABELS, T, alpha)
        assert close(loss, alpha * slow_kl(Z, V, T) + (1 - alpha) * slow_ce(Z, one_hot(LABELS)))
        soft, hard = losses.kl_divergence(Z, V, T)[1], losses.cross_entropy(Z, LABELS)[1]
        assert close(dz, alpha * soft + (1 - alpha) * hard)


def test_an_excluded_class_costs_nothing_where_it_has_no_weight():
    """Logits of -∞ for a class that no label names and that the teacher excludes too."""
    z, v, left = Z.copy(), V.copy(), np.arange(K) != 2
    z[:, 2] = v[:, 2] = -np.inf
    labels = LABELS - (LABELS > 2)
    for (value, dz), wanted in (
        (losses.cross_entropy(z, LABELS), losses.cross_entropy(z[:, left], labels)),
        (losses.kl_divergence(z, v, 4.0), losses.kl_divergence(z[:, left], v[:, left], 4.0)),
    ):
        assert close(value, wanted[0])
        assert close(dz[:, left], wanted[1])
        assert not dz[:, 2].any()


def test_mse_is_the_formula():
    loss, dz = losses.mse(Z, V)
    assert close(loss, math.fsum((z - v) ** 2 for z, v in zip(Z.ravel(), V.ravel(), strict=True)) / (N * K))
    assert close(dz, 2 * (Z - V) / (N * K))


def test_losses_are_finite_at_the_ends_of_the_scale():
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
    for dtype in (np.float32, np.float64):
        a, b = z.astype(dtype), -z.astype(dtype)
        for T in (0.01, 1.0, 1000.0):
            results = [*losses.kl_divergence(a, b, T), losses.softmax(a, T), losses.log_softmax(a, T)]
            results += [
                *losses.distillation_loss(a, b, np.array([1, 0]), T, 0.5),
                *losses.cross_entropy(a, np.array([1, 0])),
            ]
            assert all(np.isfinite(result).all() for result in results)
            assert {np.asarray(result).dtype for result in results} == {np.dtype(dtype)}
