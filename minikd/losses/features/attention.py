"""Attention transfer: the student's attention map over the image should match the teacher's.

    Q_nx = Σ_c |A_ncx|^p  over the channels c, for each place x;   a_n = Q_n/‖Q_n‖
    L = (1/N) Σ_n ‖a_n - t_n‖²,   t the teacher's a

da = 2 (a - t)/N, dQ by the unit rows' backward pass, and dA_ncx = dQ_nx · p |A_ncx|^(p-1) sign(A_ncx): the same dQ for
every channel. (Zagoruyko & Komodakis 2017, §3.1, equation 2, its distance squared as in the authors' code.)

The map a does not change with the scale of A. So each sample's A is first divided by its largest value: no power
overflows or underflows, and the chain rule needs one more division. A map of zeros (up to 1e-12) has a = 0: it costs
‖t‖² = 1 and gets no gradient. At A = 0 the derivative of |A| (p = 1) is taken as 0; for p < 1 it would be infinite.

The mean is over the batch alone. The authors' code also averages over the H·W places: its weight of 1000 is 1000/(H·W)
here, as the paper says too. A sum and a mean over the channels give the same a, which has no scale.
"""

import math

from minikd.backends import module_of
from minikd.checks import number
from minikd.errors import ConfigError, ShapeError
from minikd.losses.features.rows import feature_rows
from minikd.losses.features.unit_rows import SHORTEST, unit_rows, unit_rows_backward
from minikd.typing import Floats, Scalar


def attention_transfer(fs: Floats, ft: Floats, p: float = 2.0) -> tuple[Scalar, Floats]:
    """Return the squared distance of the attention maps, a mean over the batch, and its gradient with respect to fs.

    fs (N, Cs, H, W) and ft (N, Ct, H, W), of one dtype; p >= 1. The loss is in 0..2. Raises ShapeError (a feature
    that is not a map), DtypeError and ConfigError.
    """
    check_maps(fs, ft)
    if not 1.0 <= number(p) < math.inf:
        raise ConfigError(f"p is {p!r}, but must be at least 1: below that, the gradient of a value of 0 is infinite")
    scaled, largest = _scaled(fs)
    (a, length), (t, _), N = unit_rows(_sums(scaled, p)), unit_rows(_sums(_scaled(ft)[0], p)), len(fs)
    gap = a - t
    loss: Scalar = (gap * gap).sum() * (1.0 / N)
    dQ = unit_rows_backward(gap * (2.0 / N), a, length).reshape(N, 1, *fs.shape[2:])
    xp = module_of(fs)
    dfs: Floats = dQ * (xp.abs(scaled) ** (float(p) - 1.0) * xp.sign(scaled) * float(p)) / largest
    return loss, dfs


def check_maps(fs: Floats, ft: Floats) -> None:
    """Refuse features that are not maps of one height and width."""
    feature_rows(fs, ft)
    for f, name in ((fs, "fs"), (ft, "ft")):
        if f.ndim != 4:
            raise ShapeError(
                f"{name} has shape {f.shape}, but attention needs maps (N, C, H, W): a dense layer has no positions; "
                "compare such features with similarity_preserving, rkd_distance, pkt or hint"
            )
    if fs.shape[2:] != ft.shape[2:]:
        raise ShapeError(
            f"fs has maps of {fs.shape[2]}x{fs.shape[3]}, but ft of {ft.shape[2]}x{ft.shape[3]}; tap layers with the "
            "same height and width"
        )


def _scaled(f: Floats) -> tuple[Floats, Floats]:
    """Return f divided by the largest absolute value of each sample, and these (N, 1, 1, 1), infinite for zeros."""
    xp = module_of(f)
    largest = xp.abs(f).max((1, 2, 3), keepdims=True)
    largest = xp.where(largest > SHORTEST, largest, math.inf)
    return f / largest, largest


def _sums(f: Floats, p: float) -> Floats:
    """Return Q, (N, H·W): the powers of f (N, C, H, W), summed over the channels."""
    total: Floats = (module_of(f).abs(f) ** float(p)).sum(1).reshape(len(f), -1)
    return total
