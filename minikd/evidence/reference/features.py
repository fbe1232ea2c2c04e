"""Compares the losses of features and their gradients with torch.nn.functional and autograd.

Each loss uses PyTorch's functions: normalize, cosine_similarity and pdist, smooth_l1_loss, kl_div and cross_entropy.
Triples are listed one by one.
"""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from minikd import losses
from minikd.evidence.reference.rows import DTYPES, TIGHT, Comparison, compare
from minikd.typing import Floats, Scalar

if TYPE_CHECKING:
    import torch

FLOAT32 = 5e-6
"""The bound for a loss and its gradient in float32."""

N, Ds, Dt, E = 6, 5, 7, 4
MAPS, TEACHER_MAPS = (6, 3, 4, 2), (6, 5, 4, 2)

OurFeatureLoss = Callable[..., tuple[Scalar, *tuple[Floats, ...]]]
TheirFeatureLoss = Callable[..., "torch.Tensor"]


def compare_features(rng: np.random.Generator) -> Iterator[Comparison]:
    """Yield a row for the value and for each gradient of every loss of features."""
    fs, ft, w, b = (rng.standard_normal(shape) for shape in ((N, Ds), (N, Dt), (Dt, Ds), (Dt,)))
    ws, wt = rng.standard_normal((E, Ds)), rng.standard_normal((E, Dt))
    maps, teacher_maps = rng.standard_normal(MAPS), rng.standard_normal(TEACHER_MAPS)
    for dtype in DTYPES:
        yield from rows("hint", losses.hint, hint, ft, {"fs": fs, "w": w, "b": b}, dtype)
        yield from rows("cosine", losses.cosine, cosine, ft, {"fs": fs, "w": w, "b": b}, dtype)
        yield from rows("contrastive", losses.contrastive, contrastive, ft, {"fs": fs, "ws": ws, "wt": wt}, dtype)
        for name, ours, theirs in relations():
            yield from rows(name, ours, theirs, ft, {"fs": fs}, dtype)
            yield from rows(f"{name}, maps", ours, theirs, teacher_maps, {"fs": maps}, dtype)
        for name, ours, theirs in (attention(p) for p in (1.0, 2.0, 3.0)):
            yield from rows(name, ours, theirs, teacher_maps, {"fs": maps}, dtype)


def rows(
    name: str, ours: OurFeatureLoss, theirs: TheirFeatureLoss, ft: Floats, arrays: dict[str, Floats], dtype: str
) -> list[Comparison]:
    """Return the rows of one loss: its value, and its gradient with respect to each of the arrays."""
    import torch

    teacher, (fs, *weights) = ft.astype(dtype), (a.astype(dtype) for a in arrays.values())
    loss, *gradients = ours(fs, teacher, *weights)
    leaves = [torch.tensor(a, requires_grad=True) for a in (fs, *weights)]
    value = theirs(leaves[0], torch.from_numpy(teacher), *leaves[1:])
    found = torch.autograd.grad(value, leaves)
    names = [f"d{array}" for array in arrays]
    mine = {"loss": np.asarray(loss), **dict(zip(names, gradients, strict=True))}
    other = {"loss": value.detach().numpy(), **{name: g.numpy() for name, g in zip(names, found, strict=True)}}
    return compare(name, dtype, mine, other, TIGHT if dtype == "float64" else FLOAT32)


def hint(fs: "torch.Tensor", ft: "torch.Tensor", w: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    """Return half the squared error of the regressor, summed over the teacher's values."""
    from torch.nn import functional as F

    return F.mse_loss(F.linear(fs, w, b), ft, reduction="sum") / (2 * len(fs))


def cosine(fs: "torch.Tensor", ft: "torch.Tensor", w: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    """Return the cosine embedding loss of pairs that belong together."""
    from torch.nn import functional as F

    return F.cosine_embedding_loss(F.linear(fs, w, b), ft, fs.new_ones(len(fs)))


def contrastive(fs: "torch.Tensor", ft: "torch.Tensor", ws: "torch.Tensor", wt: "torch.Tensor") -> "torch.Tensor":
    """Return the cross-entropy of finding the sample's own teacher feature, at the default temperature of 0.1."""
    import torch
    from torch.nn import functional as F

    student, teacher = F.linear(fs, ws), F.linear(ft, wt)
    similarity = F.cosine_similarity(student[:, None], teacher[None], dim=2)
    return F.cross_entropy(similarity / 0.1, torch.arange(len(fs)))


def relations() -> list[tuple[str, OurFeatureLoss, TheirFeatureLoss]]:
    """Return the losses that compare relations within the batch."""
    return [
        ("similarity_preserving", losses.similarity_preserving, similarity_preserving),
        ("rkd_distance", losses.rkd_distance, rkd_distance),
        ("rkd_angle", losses.rkd_angle, rkd_angle),
        ("pkt", losses.pkt, pkt),
    ]


def similarity_preserving(fs: "torch.Tensor", ft: "torch.Tensor") -> "torch.Tensor":
    """Return the mean squared error of the Gram matrices, their rows normalised."""
    from torch.nn import functional as F

    one, other = (F.normalize(f.flatten(1) @ f.flatten(1).T, dim=1) for f in (fs, ft))
    return F.mse_loss(one, other)


def rkd_distance(fs: "torch.Tensor", ft: "torch.Tensor") -> "torch.Tensor":
    """Return the smooth L1 loss of each pair's distance over the mean distance; pdist counts a pair once."""
    from torch.nn import functional as F

    one, other = (F.pdist(f.flatten(1)) for f in (fs, ft))
    return F.smooth_l1_loss(one / one.mean(), other / other.mean())


def rkd_angle(fs: "torch.Tensor", ft: "torch.Tensor") -> "torch.Tensor":
    """Return the smooth L1 loss of the cosine at j in each triple i, j, k of different samples."""
    import torch
    from torch.nn import functional as F

    i, j, k = torch.tensor(list(permutations(range(len(fs)), 3))).T
    one, other = (F.cosine_similarity(f[i] - f[j], f[k] - f[j]) for f in (fs.flatten(1), ft.flatten(1)))
    return F.smooth_l1_loss(one, other)


def pkt(fs: "torch.Tensor", ft: "torch.Tensor") -> "torch.Tensor":
    """Return the divergence of the neighbours' probabilities, without each sample's own probability."""
    import torch
    from torch.nn import functional as F

    others = ~torch.eye(len(fs), dtype=torch.bool)

    def chances(f: "torch.Tensor") -> "torch.Tensor":
        kernel = (1 + F.cosine_similarity(f[:, None], f[None], dim=2)) / 2 + 1e-6
        return F.normalize(kernel[others].reshape(len(f), -1), p=1, dim=1)

    return F.kl_div(chances(fs.flatten(1)).log(), chances(ft.flatten(1)), reduction="batchmean")


def attention(p: float) -> tuple[str, OurFeatureLoss, TheirFeatureLoss]:
    """Return attention transfer with the power p."""
    from torch.nn import functional as F

    def theirs(fs: "torch.Tensor", ft: "torch.Tensor") -> "torch.Tensor":
        one, other = (F.normalize(f.abs().pow(p).mean(1).flatten(1)) for f in (fs, ft))
        return F.mse_loss(one, other, reduction="sum") / len(fs)

    return f"attention_transfer, p {p:g}", lambda fs, ft: losses.attention_transfer(fs, ft, p), theirs
