"""Bugs of softmax and of distillation losses, as found in published code (and one in nearly every first attempt).

Those that change the value together with its gradient pass every gradient check; an identity has to find them.
"""

import sys

import numpy as np

from minikd import losses
from minikd.evidence.pitfalls import losses as pitfalls
from tests.mutants.planting import Mutant, attribute, in_function

KL_GRADIENT, CE_GRADIENT = "gradient: kl_divergence, T=4", "gradient: cross_entropy"
MIXED = "gradient: distillation_loss, T=4, α=0.7"
KL_FORMULA, CE_FORMULA = "identity: kl is the formula", "identity: cross entropy is the formula"
SUM = "identity: distillation is the weighted sum"


def softmax(z, T=1.0, axis=1):
    e = np.exp((z - z.max(axis, keepdims=True)) / T)
    return e / e.sum(axis, keepdims=True)


def pull(q, dq, T=1.0):
    """softmax's backward pass"""
    return q * (dq - (q * dq).sum(1, keepdims=True)) / T


def one_hot(labels, z):
    return labels if labels.ndim == 2 else np.eye(z.shape[1], dtype=z.dtype)[labels]


def kl_gradient(factor):
    """Return a replacement whose gradient alone is multiplied by factor(T, K)."""

    def replace(real):
        def kl(z, v, temperature=4.0):
            loss, dz = real(z, v, temperature)
            return loss, dz * factor(float(temperature), z.shape[1])

        return kl

    return replace


def kl_both(factor):
    """Return a replacement whose value and gradient are multiplied by factor(T, K)."""

    def replace(real):
        def kl(z, v, temperature=4.0):
            loss, dz = real(z, v, temperature)
            c = factor(float(temperature), z.shape[1])
            return loss * c, dz * c

        return kl

    return replace


def reversed_kl(real):
    def kl(z, v, temperature=4.0):
        T, p, q = float(temperature), softmax(v, temperature), softmax(z, temperature)
        r = np.log(q) - np.log(p)
        return (q * r).sum() * (T * T / len(z)), q * (r - (q * r).sum(1, keepdims=True)) * (T / len(z))

    return kl


def logs_for_probabilities(real):
    """KLDivLoss(log q, log p): the second argument should have been a probability."""

    def kl(z, v, temperature=4.0):
        T, logp, q = float(temperature), np.log(softmax(v, temperature)), softmax(z, temperature)
        loss = (logp * (logp - np.log(q))).sum() * (T * T / len(z))
        return loss, -(logp - q * logp.sum(1, keepdims=True)) * (T / len(z))

    return kl


def mse_of_probabilities(real):
    def kl(z, v, temperature=4.0):
        T, p, q = float(temperature), softmax(v, temperature), softmax(z, temperature)
        return ((q - p) ** 2).mean() * T * T, pull(q, 2 * (q - p) / q.size, T) * T * T

    return kl


def of_the_gallery(bug):
    """Return a replacement: a bug of `minikd.evidence.pitfalls`."""
    return lambda real: lambda z, v, temperature=4.0: bug(z, v, float(temperature))


def kl(name, replace, by):
    return Mutant("kl_divergence", name, in_function("kl_divergence", replace), by)


DIVERGENCE = [
    kl("gradient misses 1/T", kl_gradient(lambda T, K: T), KL_GRADIENT),
    kl("gradient misses T², the loss has it", kl_gradient(lambda T, K: 1 / (T * T)), KL_GRADIENT),
    kl("gradient is (q - p)/N", kl_gradient(lambda T, K: 1 / T), KL_GRADIENT),
    kl("gradient averaged over the classes too", kl_gradient(lambda T, K: 1 / K), KL_GRADIENT),
    kl(
        "gradient summed over the batch",
        lambda real: lambda z, v, T=4.0: (real(z, v, T)[0], real(z, v, T)[1] * len(z)),
        KL_GRADIENT,
    ),
    kl("sign of the gradient", kl_gradient(lambda T, K: -1.0), KL_GRADIENT),
    kl("'mean' over batch and classes in both", kl_both(lambda T, K: 1 / K), KL_FORMULA),
    kl(
        "T² missing in both",
        kl_both(lambda T, K: 1 / (T * T)),
        "identity: kl at high temperature matches centred logits",
    ),
    kl("T for T² in both", kl_both(lambda T, K: 1 / T), KL_FORMULA),
    kl(
        "summed over the batch in both",
        lambda real: lambda z, v, T=4.0: tuple(part * len(z) for part in real(z, v, T)),
        "identity: losses are means over the batch",
    ),
    kl("student and teacher swapped", lambda real: lambda z, v, T=4.0: real(v, z, T), KL_GRADIENT),
    kl("KL(student, teacher) in both", reversed_kl, KL_FORMULA),
    kl(
        "probability where a log belongs",
        of_the_gallery(pitfalls.probabilities_for_logs),
        "identity: kl is zero for a student like its teacher and positive otherwise",
    ),
    kl("log where a probability belongs", logs_for_probabilities, KL_FORMULA),
    kl("squared error of probabilities", mse_of_probabilities, KL_FORMULA),
    kl(
        "teacher's logits are the student's",
        lambda real: lambda z, v, T=4.0: real(z, z, T),
        "identity: kl is zero for a student like its teacher and positive otherwise",
    ),
    kl("the teacher's softmax twice", of_the_gallery(pitfalls.softened_twice), KL_FORMULA),
    kl("softmax over the batch", of_the_gallery(pitfalls.over_the_batch), KL_FORMULA),
    kl(
        "cross-entropy with the teacher, its entropy kept",
        lambda real: (
            lambda z, v, T=4.0: (
                real(z, v, T)[0] - T * T * (softmax(v, T) * np.log(softmax(v, T))).sum() / len(z),
                real(z, v, T)[1],
            )
        ),
        "identity: kl is zero for a student like its teacher and positive otherwise",
    ),
]


def mixed(soft_weight, hard_weight, hard_temperature=lambda T: 1.0):
    """Return a replacement of the distillation loss, given the weights of its terms by (α, T)."""

    def replace(real):
        def loss(z, v, labels, temperature=4.0, alpha=0.9):
            T, t = float(temperature), hard_temperature(float(temperature))
            soft, dsoft = losses.kl_divergence(z, v, T)
            hard, dhard = losses.cross_entropy(z / t, labels)
            a, b = soft_weight(alpha, T), hard_weight(alpha, T)
            return a * soft + b * hard, a * dsoft + b * dhard / t

        return loss

    return replace


def distillation(name, replace, by):
    return Mutant("distillation_loss", name, in_function("distillation_loss", replace), by)


def gradient_is(formula):
    """Return a replacement with the right value and the gradient formula(z, v, labels, T, alpha)."""

    def replace(real):
        def loss(z, v, labels, temperature=4.0, alpha=0.9):
            return real(z, v, labels, temperature, alpha)[0], formula(z, v, labels, temperature, alpha)

        return loss

    return replace


def kl_part(z, v, T):
    return losses.kl_divergence(z, v, T)[1]


def ce_part(z, y):
    return losses.cross_entropy(z, y)[1]


ALONE, HARD = (
    "identity: distillation without labels is the scaled divergence",
    "identity: distillation without teacher is cross entropy at temperature one",
)
DISTILLATION = [
    distillation("T² on both terms", mixed(lambda a, T: a, lambda a, T: (1 - a) * T * T), HARD),
    distillation("T² twice", mixed(lambda a, T: a * T * T, lambda a, T: 1 - a), ALONE),
    distillation(
        "T² dropped where only the teacher counts",
        mixed(lambda a, T: 1 / (T * T) if a == 1 else a, lambda a, T: 1 - a),
        ALONE,
    ),
    distillation("labels' term at temperature T", mixed(lambda a, T: a, lambda a, T: 1 - a, lambda T: T), HARD),
    distillation("α and 1 - α swapped", mixed(lambda a, T: 1 - a, lambda a, T: a), SUM),
    distillation("labels' term not weighted", mixed(lambda a, T: a, lambda a, T: 1.0), SUM),
    distillation("labels' term forgotten", mixed(lambda a, T: 1.0, lambda a, T: 0.0), SUM),
    distillation(
        "weights swapped in the gradient",
        gradient_is(lambda z, v, y, T, a: (1 - a) * kl_part(z, v, T) + a * ce_part(z, y)),
        MIXED,
    ),
    distillation("gradient of one term only", gradient_is(lambda z, v, y, T, a: a * kl_part(z, v, T)), MIXED),
    distillation(
        "T² in the loss's term, not in the gradient's",
        gradient_is(lambda z, v, y, T, a: a * kl_part(z, v, T) / (T * T) + (1 - a) * ce_part(z, y)),
        MIXED,
    ),
]


def ce(name, replace, by):
    return Mutant("cross_entropy", name, in_function("cross_entropy", replace), by)


def double_softmax(real):
    """A network that ends in softmax, under a loss that takes softmax again."""

    def loss(z, labels, label_smoothing=0.0):
        q = softmax(z)
        value, dq = real(q, labels, label_smoothing)
        return value, pull(q, dq)

    return loss


def smoothed_over_the_others(real):
    def loss(z, labels, label_smoothing=0.0):
        K, e = z.shape[1], label_smoothing
        t = one_hot(labels, z)
        return real(z, (t * (1 - e) + (1 - t) * (e / (K - 1))).astype(z.dtype))

    return loss


def arguments_swapped(real):
    def loss(z, labels, label_smoothing=0.0):
        q, t = softmax(z), np.maximum(one_hot(labels, z), 1e-7)
        return -(q * np.log(t)).sum() / len(z), pull(q, -np.log(t) / len(z))

    return loss


CROSS_ENTROPY = [
    ce("softmax taken twice", double_softmax, "identity: cross entropy of ignorance is log k and of certainty zero"),
    Mutant(
        "cross_entropy",
        "0·∞ where an excluded class has no weight",
        attribute(sys.modules["minikd.losses.softmax"], "zero_where_impossible", lambda real: lambda p, values: values),
        "identity: an excluded class costs nothing where it has no weight",
    ),
    ce(
        "averaged over the classes too",
        lambda real: lambda z, y, e=0.0: tuple(part / z.shape[1] for part in real(z, y, e)),
        CE_FORMULA,
    ),
    ce(
        "gradient not averaged",
        lambda real: lambda z, y, e=0.0: (real(z, y, e)[0], real(z, y, e)[1] * len(z)),
        CE_GRADIENT,
    ),
    ce(
        "gradient without the labels",
        lambda real: lambda z, y, e=0.0: (real(z, y, e)[0], softmax(z) / len(z)),
        CE_GRADIENT,
    ),
    ce(
        "smoothing forgotten in the gradient",
        lambda real: lambda z, y, e=0.0: (real(z, y, e)[0], real(z, y)[1]),
        "gradient: cross_entropy, smoothed",
    ),
    ce("smoothed over the K - 1 others", smoothed_over_the_others, CE_FORMULA),
    ce("arguments swapped", arguments_swapped, CE_FORMULA),
]


def function(name, what, replace, by):
    return Mutant(name, what, in_function(name, replace), by)


SOFTMAX, LOG_SOFTMAX = "gradient: softmax, T=4", "gradient: log_softmax, T=4"
ROWS = "identity: softmax treats each sample alone"
SOFTMAXES = [
    function("softmax_backward", "zero", lambda real: lambda dq, q, T=1.0: np.zeros_like(q), SOFTMAX),
    function("softmax_backward", "only the diagonal", lambda real: lambda dq, q, T=1.0: q * (1 - q) * dq / T, SOFTMAX),
    function(
        "softmax_backward",
        "sum over the batch",
        lambda real: lambda dq, q, T=1.0: q * (dq - (q * dq).sum(0)) / T,
        SOFTMAX,
    ),
    function("softmax_backward", "1/T forgotten", lambda real: lambda dq, q, T=1.0: real(dq, q, 1.0), SOFTMAX),
    function("log_softmax_backward", "sum forgotten", lambda real: lambda d, logq, T=1.0: d / T, LOG_SOFTMAX),
    function(
        "log_softmax_backward", "1/T forgotten", lambda real: lambda d, logq, T=1.0: real(d, logq, 1.0), LOG_SOFTMAX
    ),
    function("softmax", "over the batch", lambda real: lambda z, T=1.0: softmax(z, T, 0), ROWS),
    function("log_softmax", "over the batch", lambda real: lambda z, T=1.0: np.log(softmax(z, T, 0)), ROWS),
    function(
        "log_softmax",
        "log of softmax",
        lambda real: lambda z, T=1.0: np.log(np.maximum(softmax(z, T), 1e-7)),
        "identity: log softmax is exact where softmax underflows",
    ),
    function(
        "softmax",
        "maximum not taken off",
        lambda real: lambda z, T=1.0: np.exp(z / T) / np.exp(z / T).sum(1, keepdims=True),
        "identity: losses are finite at the ends of the scale",
    ),
    function(
        "softmax", "temperature ignored", lambda real: lambda z, T=1.0: real(z), "identity: softmax is the formula"
    ),
    function("mse", "the 2 forgotten", lambda real: lambda a, b: (real(a, b)[0], real(a, b)[1] / 2), "gradient: mse"),
    function(
        "mse",
        "summed, not averaged, in both",
        lambda real: lambda a, b: tuple(part * a.size for part in real(a, b)),
        "identity: mse is the formula",
    ),
    function(
        "mse", "target less prediction", lambda real: lambda a, b: (real(a, b)[0], -real(a, b)[1]), "gradient: mse"
    ),
]

MUTANTS = [*SOFTMAXES, *CROSS_ENTROPY, *DIVERGENCE, *DISTILLATION]
