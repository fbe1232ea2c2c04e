"""Decoupled knowledge distillation: one term for the target class against the rest, one for the rest among themselves.

For a sample with the label t, the teacher's p = softmax(v/T) is split into two distributions: the target against the
rest, (p_t, 1 - p_t), and the shares of the other classes, p̂_k = p_k/(1 - p_t) for k ≠ t and p̂_t = 0. The student's
q = softmax(z/T) is split in the same way. Since p_k = (1 - p_t) p̂_k for k ≠ t, and q likewise,

    KL(p ‖ q) = p_t log(p_t/q_t) + Σ_{k≠t} (1-p_t) p̂_k [log((1-p_t)/(1-q_t)) + log(p̂_k/q̂_k)]
              = TCKD + (1 - p_t)·NCKD,   TCKD = KL(target against rest), NCKD = KL(p̂ ‖ q̂)

In plain distillation, the more certain the teacher is of the target, the less the other classes count. Zhao et al.
2022, §3, weigh both terms freely:

    L = T²·(1/N) Σ_n [α TCKD + β NCKD]

The gradient. ∂TCKD/∂q_t = -p_t/q_t + (1-p_t)/(1-q_t) = (q_t - p_t)/(q_t (1-q_t)). With respect to z, ∂q_t/∂z_t = q_t
(1-q_t)/T and ∂q_t/∂z_k = -q_t q_k/T = -q_t (1-q_t) q̂_k/T. Both are q_t (1-q_t)(h - q̂)/T, where h is 1 at t and 0
elsewhere, so the factors cancel. q̂ is a softmax over the other classes and does not depend on z_t, so NCKD has the
usual gradient:

    dz = (T/N)·[α (q_t - p_t)(h - q̂) + β (q̂ - p̂)]

log(1 - q_t) is computed as a log-sum-exp over the others' log q. In floating point 1 - q_t becomes 0 much earlier than
the others do.
"""

import math
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.errors import ShapeError
from minikd.losses.cross_entropy import check_labels, one_hot
from minikd.losses.softmax import check_networks, check_share, check_temperature, log_ratio, log_softmax
from minikd.losses.weighted import weighted_sum
from minikd.typing import Floats, Ints, Mask, Scalar, Shape


class Split(NamedTuple):
    """A network's probabilities, split into the label's class and the others."""

    log_target: Floats
    """log q_t, (N, 1)"""
    log_rest: Floats
    """log(1 - q_t), (N, 1)"""
    log_others: Floats
    """log q̂, (N, K); 0 at the label"""
    others: Floats
    """q̂, (N, K); 0 at the label"""


def dkd(
    student_logits: Floats,
    teacher_logits: Floats,
    labels: Ints,
    temperature: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
) -> tuple[Scalar, Floats]:
    """Return T²·(α TCKD + β NCKD), a mean over the batch, and its gradient with respect to the student's logits (N, K).

    Both logits are (N, K), of one dtype, K >= 3; `labels` are class numbers (N,), integers on the host; `alpha` and
    `beta` are weights of at least 0, by default those of the paper for CIFAR-100, which tunes β for each pair. Finite
    for all finite logits; rounding is about (α + β)·T²·ε. A class that the teacher excludes (a logit of -∞) costs
    nothing; one that the student alone excludes makes the loss infinite. Raises ShapeError (two classes too),
    DtypeError, DataError (a label out of range) and ConfigError.
    """
    check_networks(student_logits, teacher_logits)
    check_targets(labels, student_logits.shape)
    a, b = check_share(alpha, "alpha"), check_share(beta, "beta")
    (N, K), T = student_logits.shape, check_temperature(temperature)
    hot = module_of(student_logits).asarray(one_hot(labels, K))
    xp, p, q = module_of(hot), split(teacher_logits, hot, T), split(student_logits, hot, T)
    p_target, p_rest, q_target = xp.exp(p.log_target), xp.exp(p.log_rest), xp.exp(q.log_target)
    coin = p_target * log_ratio(p_target, p.log_target, q.log_target)
    tckd = coin + p_rest * log_ratio(p_rest, p.log_rest, q.log_rest)
    nckd = p.others * log_ratio(p.others, p.log_others, q.log_others)
    loss: Scalar = weighted_sum([(a, tckd.sum()), (b, nckd.sum())]) * (T * T / N)
    taught = p.log_rest > -math.inf  # no term if the teacher excludes all other classes
    dlogits = a * (q_target - p_target) * (hot - q.others) + b * (taught * q.others - p.others)
    return loss, dlogits * (T / N)


def split(logits: Floats, hot: Mask, temperature: float) -> Split:
    """Take the softmax of logits (N, K) apart; `hot` (N, K) is True at the labels."""
    xp, logq = module_of(logits), log_softmax(logits, temperature)
    log_target = xp.where(hot, logq, 0.0).sum(1, keepdims=True)
    others = xp.where(hot, -math.inf, logq)
    largest = others.max(1, keepdims=True)
    with np.errstate(invalid="ignore"):  # -∞ + ∞ if all classes but the label are excluded
        log_rest = largest + xp.log(xp.exp(others - largest).sum(1, keepdims=True))
        log_rest = xp.where(largest == -math.inf, -math.inf, log_rest)
        log_others = xp.where(others == -math.inf, others, others - log_rest)
    return Split(log_target, log_rest, xp.where(hot, 0.0, log_others), xp.exp(log_others))


def check_targets(labels: Ints, shape: Shape) -> None:
    """Refuse labels that do not name one class for each sample, and logits of fewer than three classes."""
    N, K = shape
    if K < 3:
        raise ShapeError(
            f"student_logits has shape {shape}, but dkd needs three classes or more: with {K}, only one class is "
            "left besides the target, so NCKD is always 0; use kl_divergence, which then equals TCKD"
        )
    if labels.shape != (N,):
        raise ShapeError(
            f"labels has shape {labels.shape}, but dkd needs class numbers ({N},): it treats the target class "
            "separately"
        )
    check_labels(labels, shape)
