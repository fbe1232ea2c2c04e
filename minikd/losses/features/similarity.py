"""Similarity-preserving distillation: similarities between a batch's samples should match the teacher's.

    G = F Fᵀ  (N, N),   A = G with rows of length 1,   L = (1/N²) Σ_ij (A_ij - B_ij)²,   B the teacher's A

dA = 2 (A - B)/N², and dG by the unit rows' backward pass. G_ij = Σ_d F_id F_jd has F on both sides, so

    dF_id = Σ_j dG_ij F_jd + Σ_j dG_ji F_jd,   dF = (dG + dGᵀ) F

(Tung & Mori 2019, §3; the mean is over the pairs.) A rotation of the features, or one factor for all of them, changes
nothing. The row of A of a feature of zeros is 0 and gives no gradient; the rows of the other samples still do.
"""

from minikd.losses.features.rows import feature_rows
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.nn.products import product
from minikd.typing import Floats, Scalar


def similarity_preserving(fs: Floats, ft: Floats) -> tuple[Scalar, Floats]:
    """Return the squared difference of the similarities, a mean over the pairs of the batch, and its gradient.

    The gradient is with respect to fs. fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample, of one
    dtype; N >= 2. Raises ShapeError and DtypeError.
    """
    xs, xt = feature_rows(fs, ft, least=2)
    a, length = unit_rows(product(xs, xs.T))  # (N, N) = (N, D) @ (D, N)
    b, _ = unit_rows(product(xt, xt.T))  # (N, N) = (N, D) @ (D, N)
    gap, pairs = a - b, len(xs) ** 2
    loss: Scalar = (gap * gap).sum() * (1.0 / pairs)
    dG = unit_rows_backward(gap * (2.0 / pairs), a, length)
    dxs = product(dG + dG.T, xs)  # (N, D) = (N, N) @ (N, D)
    return loss, dxs.reshape(fs.shape)
