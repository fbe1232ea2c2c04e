"""A virtual teacher: its probabilities are computed from the label. A real teacher should be better.

    p_k = a where k is the label, (1 - a)/(K - 1) elsewhere;   v = log p

With these logits, `kl_divergence` at T = 1 has the gradient of label smoothing with ε = (1 - a)·K/(K - 1); other T
soften it. If a real teacher is not better than this one, its gain was regularisation. If it is better, its gain is
dark knowledge (Yuan et al. 2020, Tf-KD_reg, who recommend a >= 0.9).

The logits are log p, so softmax(v) = p. The paper's code computes softmax(p/T) from the probabilities; at T = 20 that
is 1/K for every class, up to 5 %.
"""

import numpy as np

from minikd.backends import module_of
from minikd.checks import number, whole_number
from minikd.errors import ConfigError, ShapeError
from minikd.losses.cross_entropy import check_labels, one_hot
from minikd.typing import Floats, Ints


def virtual_teacher(labels: Ints, classes: int, correct: float = 0.9) -> Floats:
    """Return the logits (N, K) of a teacher that gives the label a probability of `correct`, and all others the same.

    `labels` are class numbers (N,), integers in 0..K-1; the logits are in float32 on the labels' device; K is
    `classes`, at least 2. `correct` is above 1/K and below 1. Raises ShapeError, DtypeError, DataError (a label out
    of range) and ConfigError.
    """
    if whole_number(classes, "classes", 1) < 2:
        raise ConfigError(f"classes is {classes}, but must be at least 2")
    if not 1.0 / classes < number(correct) < 1.0:
        raise ConfigError(
            f"correct is {correct!r}, but must lie above {1.0 / classes:g}, a guess among {classes}, and below 1"
        )
    if labels.ndim != 1:
        raise ShapeError(f"labels has shape {labels.shape}, but must be class numbers (N,)")
    check_labels(labels, (len(labels), classes))
    right, wrong = (np.float32(np.log(p)) for p in (correct, (1.0 - correct) / (classes - 1)))
    logits: Floats = module_of(labels).where(one_hot(labels, classes), right, wrong)
    return logits
