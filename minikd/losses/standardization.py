"""Soft targets from standardised logits: the student learns the teacher's ranking and gaps, not its scale.

    x = (z - z̄)/σ(z),   y = (v - v̄)/σ(v),   L = T²·KL(softmax(y/T) ‖ softmax(x/T)), a mean over the batch

σ is the standard deviation of a row, with K-1 in its denominator, as in the authors' code. (NumPy's default, K, would
act as another temperature, T√(1-1/K).) So x = √(K-1)·u, with u the centred row divided by its length (Sun et al. 2024,
Algorithms 1 and 2; T is their base temperature).

The gradient. g = dL/dx = T (softmax(x/T) - softmax(y/T))/N is that of `kl_divergence`. The backward pass of √(K-1)·u
gives

    dz = (1/σ)·[g - ḡ - x Σ_k x_k g_k/(K-1)]

dz is orthogonal to 1 and to z: shifting or scaling the logits changes nothing. So this loss alone does not determine
the student's confidence. The labels' term determines it; check the calibration.

The gradient grows as 1/σ(z), so it is large for a student at its start. For a row of equal logits, x and the gradient
are 0 (see `correlation`).
"""

import math

from minikd.losses.correlation import standard_rows, standard_rows_backward
from minikd.losses.kl import kl_divergence
from minikd.losses.softmax import check_networks
from minikd.typing import Floats, Scalar


def standardized_kl(student_logits: Floats, teacher_logits: Floats, temperature: float = 2.0) -> tuple[Scalar, Floats]:
    """Return T²·KL between the standardised logits, a mean over the batch, and its gradient.

    The gradient is with respect to the student's logits (N, K). Both logits are (N, K), of one dtype. The loss is 0
    where the student's rows are the teacher's up to a constant and a positive factor each. A student's row of equal
    logits gets no gradient. In float32 the error is about ε·|z|/σ: logits near 1e4 that differ by 1 give three digits.
    A row with a logit of -∞ gives NaN. Raises ShapeError, DtypeError and ConfigError (temperature).
    """
    check_networks(student_logits, teacher_logits)
    spread = math.sqrt(student_logits.shape[1] - 1)
    (student, length), (teacher, _) = standard_rows(student_logits), standard_rows(teacher_logits)
    loss, dx = kl_divergence(student * spread, teacher * spread, temperature)
    return loss, standard_rows_backward(dx * spread, student, length)
