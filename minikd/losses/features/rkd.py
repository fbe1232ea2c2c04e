"""Relational knowledge distillation: distances and angles between a batch's features should match the teacher's.

Both losses compare a relation ψ of the student with the teacher's φ by Huber's h(x) = ½ x² for |x| <= 1, else |x| - ½,
whose derivative h'(x) = x cut off at ±1 has no kink (Park, Kim, Lu & Cho 2019, §3.2).

**Distance**, over the M = N(N-1) pairs of different samples, d_ij = ‖f_i - f_j‖:

    ψ_ij = d_ij/μ,  μ = (1/M) Σ_ij d_ij,   L = (1/M) Σ_ij h(ψ_ij - φ_ij)

Let g_ij = h'(ψ_ij - φ_ij)/M. Since μ depends on every d, dd_ij = g_ij/μ - (1/M) Σ_kl g_kl d_kl/μ². Since
∂d_ij/∂f_i = (f_i - f_j)/d_ij = -∂d_ij/∂f_j, and dd is symmetric,

    df_i = 2 Σ_j dd_ij e_ij,   e_ij = (f_i - f_j)/d_ij

**Angle**, over the M = N(N-1)(N-2) triples of different samples, the angle at j between i and k:

    ψ_ijk = <e_ij, e_kj>,   L = (1/M) Σ_ijk h(ψ_ijk - φ_ijk)

e is on both sides, so de_ij = (2/M) Σ_k h'(ψ_ijk - φ_ijk) e_kj. The unit rows' backward pass gives du_ij. Since
u_ij = f_i - f_j, du_ij is added to df_i and subtracted from df_j.

Features may coincide, as those of two samples with every ReLU off. Then d = 0, and a length of 0 has no derivative: e
is taken as 0, so the pair gets no gradient and counts as a right angle with every other. If all coincide, ψ = 0.

Distances are computed as lengths of differences. The formula ‖f_i‖² + ‖f_j‖² - 2<f_i, f_j> would lose a short distance
in float32. The differences of all pairs are N²·D numbers and the cosines N³: both are made for some samples at a time.

The means are over different samples. The authors' code divides by N² and N³, because it counts a sample with itself:
its weights of 25 and 50 are 25 (N-1)/N and 50 (N-1)(N-2)/N² here. Its μ leaves out distances of 0.
"""

from collections.abc import Iterator

from minikd.backends import module_of
from minikd.losses.features.rows import feature_rows
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.nn.products import product
from minikd.typing import Floats, Scalar

ELEMENTS = 1 << 17
"""The largest size of an array of differences or cosines, unless those of a single sample need more."""


def rkd_distance(fs: Floats, ft: Floats) -> tuple[Scalar, Floats]:
    """Return the loss of the pairs' distances, a mean over the pairs of the batch, and its gradient with respect to fs.

    fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample, of one dtype; N >= 2. For N = 2 the
    loss is 0, because the one distance is the mean. Raises ShapeError and DtypeError.
    """
    xs, xt = feature_rows(fs, ft, least=2)
    xp, M = module_of(xs), len(xs) * (len(xs) - 1)
    others = (1.0 - xp.eye(len(xs), dtype=xs.dtype)) * (1.0 / M)  # weights of the pairs: a sum with them is a mean
    d, dt = distances(xs), distances(xt)
    mean = (d * others).sum()
    per_mean = 1.0 / _nonzero_divisor(mean)
    psi, phi = d * per_mean, dt / _nonzero_divisor((dt * others).sum())
    terms, slope = huber(psi - phi)
    loss: Scalar = (terms * others).sum()
    g = slope * others
    dd = (g - (g * psi).sum() * others) * per_mean
    dxs = xp.empty_like(xs)
    for at in slices(len(xs), xs.size):  # index i, r samples in a slice
        e, _ = unit_rows(xs[at, None] - xs)
        dxs[at] = 2.0 * product(dd[at, None], e)[:, 0]  # (r, 1, D) = (r, 1, N) @ (r, N, D)
    return loss, dxs.reshape(fs.shape)


def rkd_angle(fs: Floats, ft: Floats) -> tuple[Scalar, Floats]:
    """Return the loss of the triples' angles, a mean over the triples of the batch, and its gradient.

    The gradient is with respect to fs. fs (N, Ds) or (N, C, H, W), ft (N, Dt) or maps, both flattened by sample, of one
    dtype; N >= 3. The work grows with N³. Raises ShapeError and DtypeError.
    """
    xs, xt = feature_rows(fs, ft, least=3)
    xp, N = module_of(xs), len(xs)
    others = (1.0 - xp.eye(N, dtype=xs.dtype)) * (1.0 / (N * (N - 1) * (N - 2)))
    loss, dxs = xp.zeros((), xs.dtype), xp.zeros_like(xs)
    for at in slices(N, N * max(N, xs.shape[1], xt.shape[1])):  # index j, r samples in a slice
        e, length = unit_rows(xs - xs[at, None])
        t, _ = unit_rows(xt - xt[at, None])
        psi = product(e, e.swapaxes(1, 2))  # (r, N, N) = (r, N, D) @ (r, D, N)
        phi = product(t, t.swapaxes(1, 2))  # (r, N, N) = (r, N, D) @ (r, D, N)
        terms, slope = huber(psi - phi)
        loss = loss + (terms * others).sum()
        de = 2.0 * product(slope * others, e)  # (r, N, D) = (r, N, N) @ (r, N, D)
        du = unit_rows_backward(de, e, length)
        dxs += du.sum(0)
        dxs[at] -= du.sum(1)
    return loss, dxs.reshape(fs.shape)


def distances(x: Floats) -> Floats:
    """Return the distances (N, N) between the rows of x (N, D); coinciding rows have exactly 0."""
    xp, N = module_of(x), len(x)
    d: Floats = xp.empty((N, N), x.dtype)
    for at in slices(N, x.size):
        gap = x[at, None] - x
        gap *= gap
        d[at] = xp.sqrt(gap.sum(2))
    return d


def huber(x: Floats) -> tuple[Floats, Floats]:
    """Return h(x) and h'(x): with c = x cut off at ±1, c (x - c/2) is ½ x² inside and |x| - ½ outside."""
    slope = x.clip(-1.0, 1.0)
    return slope * (x - 0.5 * slope), slope


def slices(samples: int, each: int) -> Iterator[slice]:
    """Yield the samples in slices of which all but those of one sample take at most ELEMENTS numbers, `each` a one."""
    step = max(1, ELEMENTS // each)
    for start in range(0, samples, step):
        yield slice(start, start + step)


def _nonzero_divisor(x: Floats) -> Floats:
    """Return x with 1 for 0: a divisor for what is 0 already."""
    xp = module_of(x)
    divisor: Floats = xp.where(x > 0, x, 1.0)
    return divisor
