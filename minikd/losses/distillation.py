"""The distillation loss: soft targets from the teacher, hard targets from the labels.

    L = α·T²·KL(teacher ‖ student; T) + (1 - α)·CE(student, labels; T = 1)

The loss is a weighted sum, so its gradient is the same weighted sum of the two gradients (Hinton, Vinyals & Dean 2015,
§2).
"""

import numpy as np

from minikd.backends import kernels_of
from minikd.checks import number
from minikd.errors import ConfigError
from minikd.losses.cross_entropy import check_labels, cross_entropy
from minikd.losses.kl import kl_divergence
from minikd.losses.softmax import check_networks, check_temperature
from minikd.losses.weighted import weighted_sum
from minikd.typing import Floats, Ints, Scalar


def check_alpha(alpha: float) -> float:
    """Return the weight as a Python float, or refuse what does not lie in 0..1."""
    if not 0.0 <= number(alpha) <= 1.0:
        raise ConfigError(f"alpha is {alpha!r}, but must be from 0 to 1: the weight of the teacher's soft targets")
    return number(alpha)


def distillation_loss(
    student_logits: Floats, teacher_logits: Floats, labels: Ints | Floats, temperature: float = 4.0, alpha: float = 0.9
) -> tuple[Scalar, Floats]:
    """Return the distillation loss, a mean over the batch, and its gradient.

    The gradient is with respect to the student's logits (N, K). `labels` as for `cross_entropy`; `temperature` > 0
    softens both networks in the first term; `alpha` in 0..1 is the share of that term. A class that both exclude (a
    logit of -∞) costs nothing. Raises ShapeError, DtypeError, DataError and ConfigError.
    """
    alpha = check_alpha(alpha)
    kernels = kernels_of(student_logits) if labels.ndim == 1 and 0 < alpha < 1 else None
    if kernels and hasattr(kernels, "distillation_loss"):
        check_networks(student_logits, teacher_logits)
        check_labels(labels, student_logits.shape)
        arguments = labels.astype(np.int64, copy=False), check_temperature(temperature), alpha
        loss: Scalar
        dlogits: Floats
        loss, dlogits = kernels.distillation_loss(student_logits, teacher_logits, *arguments)
        return loss, dlogits
    soft, dsoft = kl_divergence(student_logits, teacher_logits, temperature)
    hard, dhard = cross_entropy(student_logits, labels)
    rest = 1.0 - alpha
    return weighted_sum([(alpha, soft), (rest, hard)]), weighted_sum([(alpha, dsoft), (rest, dhard)])
