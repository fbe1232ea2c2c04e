"""Cosine loss: the student's feature, after a linear regressor, should have the direction of the teacher's.

    L = (1/N) Σ_n (1 - <a_n, e_n>),   a = r/‖r‖,  r = fs wᵀ + b,  e = ft/‖ft‖

da = -e/N; the backward passes of the unit rows and of the dense layer follow. The length of the teacher's feature does
not matter: since ½‖a - e‖² = 1 - <a, e>, this is the hint's loss between features of length 1. A sample with a feature
of zeros, on either side, costs 1 and gives no gradient. (torch.nn.CosineEmbeddingLoss on a FitNets regressor.)
"""

from minikd.losses.features.projection import check_projection
from minikd.losses.features.rows import feature_rows
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.nn.linear import linear, linear_backward
from minikd.typing import Floats, Scalar


def cosine(fs: Floats, ft: Floats, w: Floats, b: Floats) -> tuple[Scalar, Floats, Floats, Floats]:
    """Return 1 minus the cosine, a mean over the batch, and dfs (as fs), dw (Dt, Ds), db (Dt,).

    fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample; w (Dt, Ds) and b (Dt,) the regressor; all
    of one dtype. The loss is in 0..2. Raises ShapeError and DtypeError.
    """
    xs, xt = feature_rows(fs, ft)
    check_projection(w, xs, xt.shape[1], "w", "fs")
    r, cache = linear(xs, w, b)
    (a, length), (e, _), N = unit_rows(r), unit_rows(xt), len(xs)
    loss: Scalar = 1.0 - (a * e).sum() * (1.0 / N)
    dr = unit_rows_backward(e * (-1.0 / N), a, length)
    dxs, dw, db = linear_backward(dr, cache)
    return loss, dxs.reshape(fs.shape), dw, db
