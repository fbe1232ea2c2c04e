"""Regression on the teacher's logits, after the mean of each row is subtracted.

    L = 1/(2NK) Σ_n ‖C (z_n - v_n)‖²,   C = 1 - 11ᵀ/K, which subtracts the mean

C is symmetric and C C = C, so

    dz = Cᵀ C (z - v)/(NK) = C (z - v)/(NK)

Why centred: softmax ignores a constant in a row of logits, so the teacher's constant means nothing, and a student
should not spend capacity on it. The uncentred loss, 1/2 ‖z - v‖² for each sample, is that of Ba & Caruana 2014, §2.2.

Why 1/K: `kl_divergence` tends to this loss as T → ∞, in value and gradient (Hinton, Vinyals & Dean 2015, §2.1, equation
4). So a weight that fits one of them fits the other.
"""

from minikd.losses.softmax import check_networks
from minikd.typing import Floats, Scalar


def logit_matching(student_logits: Floats, teacher_logits: Floats) -> tuple[Scalar, Floats]:
    """Return half the mean squared difference of the centred logits, and its gradient.

    The gradient is with respect to the student's logits (N, K). Both logits are (N, K), of one dtype; the mean is
    over batch and classes. The loss is 0 (up to rounding of (ε·|z|)²) exactly where the student matches the teacher
    up to a constant in each row. float32 overflows where the logits differ by more than 1e19, and a logit of -∞ has
    no distance: NaN. Raises ShapeError and DtypeError.
    """
    check_networks(student_logits, teacher_logits)
    gap = student_logits - teacher_logits
    gap -= gap.mean(1, keepdims=True)
    loss: Scalar = (gap * gap).sum() * (0.5 / gap.size)
    return loss, gap * (1.0 / gap.size)
