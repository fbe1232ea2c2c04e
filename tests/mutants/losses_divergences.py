"""Bugs of the divergences and what is near them: reverse KL, Jensen-Shannon, soft cross-entropy, logits, temperature.

Those that change the value together with its gradient pass every gradient check; an identity has to find them.
"""

import numpy as np

from minikd import losses
from tests.mutants.losses import pull, softmax
from tests.mutants.planting import Mutant, in_function


def logs(z, v, T):
    """Return q, log q, p, log p."""
    q, p = softmax(z, T), softmax(v, T)
    return q, np.log(q), p, np.log(p)


def both(factor):
    """Return a replacement: value and gradient multiplied by factor(T, N, K)."""
    return lambda real: lambda z, v, T=4.0, *rest: tuple(part * factor(T, *z.shape) for part in real(z, v, T, *rest))


def gradient_is(formula):
    """Return a replacement: the right value, and the gradient formula(z, v, T, ...) of the mean over the batch."""

    def replace(real):
        def loss(z, v, T=4.0, *rest):
            return real(z, v, T, *rest)[0], (formula(z, v, T, *rest) / len(z)).astype(z.dtype)

        return loss

    return replace


def reverse(name, replace, by):
    return Mutant("reverse_kl", name, in_function("reverse_kl", replace), by)


def without_the_mean(z, v, T=4.0):
    q, logq, _, logp = logs(z, v, T)
    return T * q * (logq - logp)


def eps_in_the_logarithm(real):
    """log(softmax + 1e-8), the teacher's log-probabilities of what it rules out"""

    def loss(z, v, T=4.0):
        q, logq, p, _ = logs(z, v, T)
        r = logq - np.log(p + 1e-8)
        each = (q * r).sum(1, keepdims=True)
        return each.sum() * (T * T / len(z)), q * (r - each) * (T / len(z))

    return loss


REVERSE_FORMULA, REVERSE_GRADIENT = "identity: reverse kl is the formula", "gradient: reverse_kl, T=4"
REVERSE = [
    reverse("KL(teacher, student)", lambda real: lambda z, v, T=4.0: losses.kl_divergence(z, v, T), REVERSE_FORMULA),
    reverse("averaged over the classes too", both(lambda T, N, K: 1 / K), REVERSE_FORMULA),
    reverse(
        "T² missing in both",
        both(lambda T, N, K: 1 / (T * T)),
        "identity: every divergence at high temperature is logit matching",
    ),
    reverse("1e-8 inside the teacher's logarithm", eps_in_the_logarithm, REVERSE_FORMULA),
    reverse("gradient q r, without Σ q r", gradient_is(without_the_mean), REVERSE_GRADIENT),
    reverse(
        "gradient of the forward divergence",
        gradient_is(lambda z, v, T: T * (softmax(z, T) - softmax(v, T))),
        REVERSE_GRADIENT,
    ),
    reverse(
        "q in the logarithm taken for a constant",
        gradient_is(lambda z, v, T: -T * T * pull(softmax(z, T), np.log(softmax(v, T)), T)),
        REVERSE_GRADIENT,
    ),
]


def js(name, replace, by):
    return Mutant("jensen_shannon", name, in_function("jensen_shannon", replace), by)


def mixed(z, v, T, beta):
    """Return q, log(q/m), and p/m."""
    q, p = softmax(z, T), softmax(v, T)
    m = beta * p + (1 - beta) * q
    return q, np.log(q / m), p / m


def mixture_constant_in_one_term(z, v, T=4.0, beta=0.5):
    q, r, ratio = mixed(z, v, T, beta)
    return T * T / beta * pull(q, r - beta * ratio, T)


JS_FORMULA, JS_GRADIENT = "identity: jensen shannon is the formula", "gradient: jensen_shannon, T=4, β=0.2"
JENSEN_SHANNON = [
    js(
        "β the student's share of the mixture",
        lambda real: lambda z, v, T=4.0, beta=0.5: real(z, v, T, 1 - beta),
        "identity: jensen shannon tends to kl and to reverse kl at its ends",
    ),
    js(
        "not divided by β(1 - β)",
        lambda real: lambda z, v, T=4.0, beta=0.5: tuple(part * (beta * (1 - beta)) for part in real(z, v, T, beta)),
        "identity: every divergence at high temperature is logit matching",
    ),
    js(
        "divided by β alone",
        lambda real: lambda z, v, T=4.0, beta=0.5: tuple(part * (1 - beta) for part in real(z, v, T, beta)),
        "identity: jensen shannon is symmetric in networks and beta",
    ),
    js("β ignored", lambda real: lambda z, v, T=4.0, beta=0.5: real(z, v, T), JS_FORMULA),
    js("averaged over the classes too", both(lambda T, N, K: 1 / K), JS_FORMULA),
    js("the mixture a constant in the student's term", gradient_is(mixture_constant_in_one_term), JS_GRADIENT),
    js(
        "gradient divided by 1 - β",
        gradient_is(lambda z, v, T=4.0, b=0.5: T / (1 - b) * (pull(*mixed(z, v, T, b)[:2]))),
        JS_GRADIENT,
    ),
    js(
        "softmax's backward pass without its sum",
        gradient_is(lambda z, v, T=4.0, b=0.5: T / b * np.prod(mixed(z, v, T, b)[:2], axis=0)),
        JS_GRADIENT,
    ),
]


def soft(name, replace, by):
    return Mutant("soft_cross_entropy", name, in_function("soft_cross_entropy", replace), by)


SOFT_IDENTITY = "identity: soft cross entropy is the divergence and the teachers entropy"
SOFT_GRADIENT = "gradient: soft_cross_entropy, T=4"
SOFT = [
    soft("the entropy taken off", lambda real: lambda z, v, T=4.0: losses.kl_divergence(z, v, T), SOFT_IDENTITY),
    soft("T² missing in both", both(lambda T, N, K: 1 / (T * T)), SOFT_IDENTITY),
    soft("'mean' over batch and classes", both(lambda T, N, K: 1 / K), SOFT_IDENTITY),
    soft("the teacher's softmax twice", lambda real: lambda z, v, T=4.0: real(z, softmax(v), T), SOFT_IDENTITY),
    soft("the teacher not softened", lambda real: lambda z, v, T=4.0: real(z, v * T, T), SOFT_IDENTITY),
    soft("gradient misses 1/T", gradient_is(lambda z, v, T: T * T * (softmax(z, T) - softmax(v, T))), SOFT_GRADIENT),
    soft("gradient by the teacher", gradient_is(lambda z, v, T: T * (softmax(v, T) - softmax(z, T))), SOFT_GRADIENT),
]


def matching(name, replace, by):
    return Mutant("logit_matching", name, in_function("logit_matching", replace), by)


def centred_over_the_batch(real):
    def loss(z, v):
        gap = (z - v) - (z - v).mean(0)
        return (gap * gap).sum() * (0.5 / gap.size), gap / gap.size

    return loss


MATCHING_IDENTITY = "identity: logit matching is the formula and ignores a constant in each row"
LIMIT = "identity: every divergence at high temperature is logit matching"
MATCHING = [
    matching(
        "not centred",
        lambda real: lambda z, v: tuple(part / 2 for part in losses.mse(z, v)),
        MATCHING_IDENTITY,
    ),
    matching("centred over the batch", centred_over_the_batch, MATCHING_IDENTITY),
    matching(
        "only the student centred",
        lambda real: (
            lambda z, v: (
                0.5 * losses.mse(z - z.mean(1, keepdims=True), v)[0],
                real(z, v)[1],
            )
        ),
        MATCHING_IDENTITY,
    ),
    matching(
        "summed over the classes",
        lambda real: lambda z, v: tuple(part * z.shape[1] for part in real(z, v)),
        LIMIT,
    ),
    matching(
        "the half forgotten in the gradient",
        lambda real: lambda z, v: (real(z, v)[0], 2 * real(z, v)[1]),
        "gradient: logit_matching",
    ),
    matching(
        "gradient not centred",
        lambda real: lambda z, v: (real(z, v)[0], (z - v) / z.size),
        "gradient: logit_matching",
    ),
]


def warm(name, replace, by):
    return Mutant("kl_with_temperature", name, in_function("kl_with_temperature", replace), by)


def slope_is(formula):
    """Return a replacement: the right value and gradient, and the gradient by T formula(z, v, T, right one)."""

    def replace(real):
        def loss(z, v, T):
            value, dz, slope = real(z, v, T)
            return value, dz, np.asarray(formula(z, v, T, slope)).astype(z.dtype)[()]

        return loss

    return replace


def divergence(z, v, T):
    _, logq, p, logp = logs(z, v, T)
    return (p * (logp - logq)).sum() / len(z)


def covariance(z, v, T):
    _, logq, p, logp = logs(z, v, T)
    gap = logp - logq
    return ((p * logp * gap).sum() - ((p * logp).sum(1) * (p * gap).sum(1)).sum()) * T / len(z)


SLOPE = "gradient: kl_with_temperature"
TEMPERATURE = [
    warm("T² a constant", slope_is(lambda z, v, T, s: s - 2 * T * divergence(z, v, T)), SLOPE),
    warm("only T² moves", slope_is(lambda z, v, T, s: 2 * T * divergence(z, v, T)), SLOPE),
    warm("the teacher's softening a constant", slope_is(lambda z, v, T, s: s + covariance(z, v, T)), SLOPE),
    warm("turned round already", slope_is(lambda z, v, T, s: -s), SLOPE),
    warm("summed over the batch", slope_is(lambda z, v, T, s: s * len(z)), SLOPE),
    warm("by log T", slope_is(lambda z, v, T, s: s * T), SLOPE),
    warm(
        "T² missing in value and gradients",
        lambda real: (
            lambda z, v, T: (
                real(z, v, T)[0] / T**2,
                real(z, v, T)[1] / T**2,
                real(z, v, T)[2] / T**2 - 2 * divergence(z, v, T) / T,
            )
        ),
        "identity: a learned temperature has the value and the gradient of the divergence",
    ),
]


def by_hand(name, replace):
    plant = in_function("virtual_teacher", replace)
    return Mutant("virtual_teacher", name, plant, "identity: the virtual teacher knows the label and nothing else")


def shares(labels, classes, correct, others):
    return np.where(labels[:, None] == np.arange(classes), correct, others).astype(np.float32)


VIRTUAL = [
    by_hand(
        "probabilities for logits",
        lambda real: lambda labels, K, correct=0.9: shares(labels, K, correct, (1 - correct) / (K - 1)),
    ),
    by_hand(
        "the rest shared among K",
        lambda real: lambda labels, K, correct=0.9: np.log(shares(labels, K, correct, (1 - correct) / K)),
    ),
    by_hand("one label too far", lambda real: lambda labels, K, correct=0.9: real((labels + 1) % K, K, correct)),
]

MUTANTS = [*REVERSE, *JENSEN_SHANNON, *SOFT, *MATCHING, *TEMPERATURE, *VIRTUAL]
