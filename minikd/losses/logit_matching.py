"""Regression on the teacher's logits, after the mean of each row is subtracted.

    L = 1/(2NK) Σ_n ‖C (z_n - v_n)‖²,   C = 1 - 11ᵀ/K, which takes the mean off

C is symmetric and C C = C, so

    dz = Cᵀ C (z - v)/(NK) = C (z - v)/(NK)

Why centred: softmax ignores a constant in a row of logits, so the teacher's is an accident of its training, and a
student that had to learn it would spend capacity on nothing. The uncentred loss, 1/2 ‖z - v‖² a sample, is that of Ba &
Caruana 2014, §2.2.

Why 1/K: this is what `kl_divergence` becomes as T → ∞ (Hinton, Vinyals & Dean 2015, §2.1, equation 4), value and
gradient alike, so the weight that a mix gives to one fits the other.
"""

from minikd.losses.softmax import check_networks
from minikd.typing import Floats, Scalar


def logit_matching(student_logits: Floats, teacher_logits: Floats) -> tuple[Scalar, Floats]:
    """Return half the mean squared difference of the centred logits, and its gradient.

    The gradient is with respect to the student's logits (N, K). Both logits are (N, K), of one dtype; the mean is over
    batch and classes. 0 exactly where the student matches the teacher up to a constant in each row, but for rounding of
    (ε·|z|)². float32 overflows where the logits differ by more than 1e19, and a logit of -∞ has no distance: NaN.
    Raises ShapeError and DtypeError.
    """
    check_networks(student_logits, teacher_logits)
    gap = student_logits - teacher_logits
    gap -= gap.mean(1, keepdims=True)
    loss: Scalar = (gap * gap).sum() * (0.5 / gap.size)
    return loss, gap * (1.0 / gap.size)
