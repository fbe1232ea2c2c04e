"""Probabilistic knowledge transfer: the student's probabilities of neighbours should match the teacher's.

    a = f/‖f‖,   K_ij = ½ (1 + <a_i, a_j>) + ε,   Q_ij = K_ij/s_i,  s_i = Σ_{j≠i} K_ij
    L = (1/N) Σ_i Σ_{j≠i} P_ij log(P_ij/Q_ij),   P the teacher's Q

Q_ij is the probability that j is drawn as a neighbour of sample i (Passalis & Tefas 2018, §3, with the cosine kernel).
The terms of L that depend on the student are Σ_ij P_ij (log s_i - log K_ij)/N. Since Σ_j P_ij = 1,

    dK_ij = (1/s_i - P_ij/K_ij)/N = (Q_ij - P_ij)/(N K_ij)   off the diagonal, 0 on it

a is on both sides of <a_i, a_j>, so da = ½ (dK + dKᵀ) a. The unit rows' backward pass follows. Two opposite
features would have K = 0 and an infinite loss; ε = 1e-6 prevents that. A feature of zeros has K = ½ with every other.

The loss is a mean over the batch. The authors' code averages over all N² pairs: its weight of 30000 is 30000/N here. It
also counts each sample as its own neighbour; the paper does not.
"""

from minikd.backends import module_of
from minikd.losses.features.rows import feature_rows
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.nn.products import product
from minikd.typing import Floats, Scalar

EPS = 1e-6


def pkt(fs: Floats, ft: Floats) -> tuple[Scalar, Floats]:
    """Return KL(teacher ‖ student) of the neighbours' probabilities, a mean over the batch, and its gradient.

    The gradient is with respect to fs. fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample, of one
    dtype; N >= 2. For N = 2 the loss is 0, because each sample has one neighbour. Raises ShapeError and DtypeError.
    """
    xs, xt = feature_rows(fs, ft, least=2)
    xp, N = module_of(xs), len(xs)
    a, length = unit_rows(xs)
    k, q = neighbours(a)
    p = neighbours(unit_rows(xt)[0])[1]
    one = xp.eye(N, dtype=xs.dtype)  # on the diagonal, log(0 + 1) and 0/(0 + 1)
    loss: Scalar = (p * (xp.log(p + one) - xp.log(q + one))).sum() * (1.0 / N)
    dk = (q - p) / (k + one) * (0.5 / N)
    da = product(dk + dk.T, a)  # (N, D) = (N, N) @ (N, D)
    return loss, unit_rows_backward(da, a, length).reshape(fs.shape)


def neighbours(a: Floats) -> tuple[Floats, Floats]:
    """Return the kernel K and the probabilities Q, both (N, N) with 0 on the diagonal, of unit rows a (N, D)."""
    xp = module_of(a)
    cosines = product(a, a.T)  # (N, N) = (N, D) @ (D, N)
    k = (xp.maximum(0.5 + 0.5 * cosines, 0.0) + EPS) * (1.0 - xp.eye(len(a), dtype=a.dtype))
    return k, k / k.sum(1, keepdims=True)
