"""Contrastive distillation: each student feature should be nearest to the teacher feature of the same sample.

    a = x/‖x‖,  x = fs wsᵀ;   e = y/‖y‖,  y = ft wtᵀ;   S_nm = <a_n, e_m>/τ
    L = -(1/N) Σ_n log q_nn,   q = softmax of the rows of S

Cross-entropy with the labels 0..N-1, so dS = (q - 1)/N with the unit matrix 1, and S = a eᵀ/τ gives

    da = dS e/τ,   de = dSᵀ a/τ;   dx, dy by the unit rows;   dfs = dx ws,  dws = dxᵀ fs,  dwt = dyᵀ ft

InfoNCE (van den Oord, Li & Vinyals 2018, equation 4) between the representations of two networks, as in CRD (Tian,
Krishnan & Isola 2020, §3.1). Its negatives are the other samples of the batch. log N - L is a lower bound of the mutual
information of the two features. The bound is at most log N, so batches should be large. Both linear maps are trained
with the student. A feature that is mapped to zeros has the loss log N and gets no gradient.
"""

from minikd.backends import module_of
from minikd.errors import ShapeError
from minikd.losses.features.projection import check_projection
from minikd.losses.features.rows import feature_rows
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.losses.softmax import check_temperature, log_softmax
from minikd.nn.products import product
from minikd.typing import Floats, Scalar


def contrastive(
    fs: Floats, ft: Floats, ws: Floats, wt: Floats, temperature: float = 0.1
) -> tuple[Scalar, Floats, Floats, Floats]:
    """Return the contrastive loss, a mean over the batch, and dfs (as fs), dws (E, Ds), dwt (E, Dt).

    fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample, N >= 2; ws (E, Ds) and wt (E, Dt) map both
    to one width E; all of one dtype. Raises ShapeError, DtypeError and ConfigError (temperature).
    """
    xs, xt = feature_rows(fs, ft, least=2)
    if ws.ndim != 2 or len(ws) == 0:
        raise ShapeError(f"ws has shape {ws.shape}, but must be (E, {xs.shape[1]}) with a width E of at least 1")
    check_projection(ws, xs, len(ws), "ws", "fs")
    check_projection(wt, xt, len(ws), "wt", "ft")
    a, a_length = unit_rows(product(xs, ws.T))  # (N, E) = (N, Ds) @ (Ds, E)
    e, e_length = unit_rows(product(xt, wt.T))  # (N, E) = (N, Dt) @ (Dt, E)
    xp, N = module_of(xs), len(xs)
    logq = log_softmax(product(a, e.T), temperature)  # (N, N) = (N, E) @ (E, N)
    loss: Scalar = xp.trace(logq) * (-1.0 / N)
    dS = (xp.exp(logq) - xp.eye(N, dtype=xs.dtype)) * (1.0 / (N * check_temperature(temperature)))
    dx = unit_rows_backward(product(dS, e), a, a_length)  # (N, E) = (N, N) @ (N, E)
    dy = unit_rows_backward(product(dS.T, a), e, e_length)  # (N, E) = (N, N) @ (N, E)
    dfs = product(dx, ws).reshape(fs.shape)  # (N, Ds) = (N, E) @ (E, Ds)
    dws = product(dx.T, xs)  # (E, Ds) = (E, N) @ (N, Ds)
    dwt = product(dy.T, xt)  # (E, Dt) = (E, N) @ (N, Dt)
    return loss, dfs, dws, dwt
