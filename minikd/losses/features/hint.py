"""FitNets' hint: the student's feature, after a linear regressor, should equal the teacher's.

    L = (1/N) Σ_n ½ Σ_o (r_no - t_no)²,   r = fs wᵀ + b

dr = (r - t)/N, and the rest is the dense layer's backward pass: dfs = dr w, dw = drᵀ fs, db = drᵀ 1. The regressor
belongs to the loss: it is trained with the student and not used afterwards (Romero et al. 2015, §2.2, equation 3).

As in the paper, the loss is half the sum of squares over the teacher's values, and the mean is over the batch alone.
Libraries that also average over the values have a loss that is Dt/2 times smaller, and weights that are larger by the
same factor.
"""

from minikd.losses.features.projection import check_projection
from minikd.losses.features.rows import feature_rows
from minikd.nn.linear import linear, linear_backward
from minikd.typing import Floats, Scalar


def hint(fs: Floats, ft: Floats, w: Floats, b: Floats) -> tuple[Scalar, Floats, Floats, Floats]:
    """Return the hint loss, a mean over the batch, and dfs (as fs), dw (Dt, Ds), db (Dt,).

    fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample; w (Dt, Ds) and b (Dt,) the regressor; all
    of one dtype. Raises ShapeError and DtypeError.
    """
    xs, xt = feature_rows(fs, ft)
    check_projection(w, xs, xt.shape[1], "w", "fs")
    r, cache = linear(xs, w, b)
    gap, N = r - xt, len(xs)
    loss: Scalar = (gap * gap).sum() * (0.5 / N)
    dxs, dw, db = linear_backward(gap * (1.0 / N), cache)
    return loss, dxs.reshape(fs.shape), dw, db
