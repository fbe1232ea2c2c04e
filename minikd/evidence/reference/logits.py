"""Compares every loss between a student's and a teacher's logits with the same formula in PyTorch and its autograd."""

import math
from collections.abc import Iterator

import numpy as np

from minikd import losses
from minikd.evidence.reference.losses import FLOAT32, LossPair, pair_rows
from minikd.evidence.reference.rows import DTYPES, TIGHT, Comparison, compare
from minikd.typing import Floats, Ints


def logit_rows(rng: np.random.Generator) -> Iterator[Comparison]:
    """Yield a row for the value and the gradient of every loss, at ordinary logits and, if it is defined, at ±10⁴."""
    logits, teacher = 3 * rng.standard_normal((2, 7, 5))
    labels = rng.integers(0, 5, 7)
    for dtype in DTYPES:
        bound = TIGHT if dtype == "float64" else FLOAT32
        z, v = logits.astype(dtype), teacher.astype(dtype)
        for pair in [*divergences(v), decoupled(v, labels), *relations(v)]:
            yield from pair_rows(*pair, z, bound)
        yield from temperature_rows(z, v, bound)
    yield from pair_rows(*smoothing(labels), logits.astype("float32"), FLOAT32)
    z, v = 1e4 * np.sign(logits), 1e4 * np.sign(teacher)
    for name, ours, theirs in [*divergences(v), decoupled(v, labels)]:
        yield from pair_rows(f"{name}, logits ±1e4", ours, theirs, z, TIGHT)


def divergences(teacher: Floats) -> list[LossPair]:
    """Return the losses that compare each sample: reverse KL, Jensen-Shannon, cross-entropy, centred logits."""
    import torch
    from torch.nn import functional as F

    v, T = torch.from_numpy(teacher), 4.0
    logp = F.log_softmax(v / T, 1)

    def reverse(z: "torch.Tensor") -> "torch.Tensor":
        return T * T * F.kl_div(logp, F.log_softmax(z / T, 1), reduction="batchmean", log_target=True)

    def mixture(z: "torch.Tensor", beta: float) -> "torch.Tensor":
        logq = F.log_softmax(z / T, 1)
        logm = torch.logsumexp(torch.stack([logp + math.log(beta), logq + math.log(1 - beta)]), 0)
        of_teacher = F.kl_div(logm, logp, reduction="batchmean", log_target=True)
        of_student = F.kl_div(logm, logq, reduction="batchmean", log_target=True)
        return T * T * (of_teacher / (1 - beta) + of_student / beta)

    def centred(z: "torch.Tensor") -> "torch.Tensor":
        return F.mse_loss(z - z.mean(1, keepdim=True), v - v.mean(1, keepdim=True)) / 2

    return [
        ("reverse_kl, T 4", lambda z: losses.reverse_kl(z, teacher, T), reverse),
        ("jensen_shannon, T 4", lambda z: losses.jensen_shannon(z, teacher, T), lambda z: mixture(z, 0.5)),
        (
            "jensen_shannon, T 4, beta 0.2",
            lambda z: losses.jensen_shannon(z, teacher, T, 0.2),
            lambda z: mixture(z, 0.2),
        ),
        (
            "soft_cross_entropy, T 4",
            lambda z: losses.soft_cross_entropy(z, teacher, T),
            lambda z: T * T * F.cross_entropy(z / T, logp.exp()),
        ),
        ("logit_matching", lambda z: losses.logit_matching(z, teacher), centred),
    ]


def decoupled(teacher: Floats, labels: Ints) -> LossPair:
    """Return DKD. PyTorch's version removes the target's column, and sums the rest for the binary distribution."""
    import torch
    from torch.nn import functional as F

    v, hot = torch.from_numpy(teacher), F.one_hot(torch.from_numpy(labels), teacher.shape[1]).bool()
    T, alpha, beta = 4.0, 0.7, 3.0

    def others(z: "torch.Tensor") -> "torch.Tensor":
        return F.log_softmax(z[~hot].reshape(len(z), -1) / T, 1)

    def coin(z: "torch.Tensor") -> "torch.Tensor":
        logq = F.log_softmax(z / T, 1)
        return torch.stack([logq[hot], torch.logsumexp(logq[~hot].reshape(len(z), -1), 1)], 1)

    def theirs(z: "torch.Tensor") -> "torch.Tensor":
        tckd = F.kl_div(coin(z), coin(v), reduction="batchmean", log_target=True)
        nckd = F.kl_div(others(z), others(v), reduction="batchmean", log_target=True)
        return T * T * (alpha * tckd + beta * nckd)

    return f"dkd, T 4, alpha {alpha:g}, beta {beta:g}", lambda z: losses.dkd(z, teacher, labels, T, alpha, beta), theirs


def relations(teacher: Floats) -> list[LossPair]:
    """Return the losses that ignore a constant and a factor in each row: DIST, and the KL of standardised logits."""
    import torch
    from torch.nn import functional as F

    v = torch.from_numpy(teacher)

    def distance(a: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
        pairs = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(a, b, strict=True)]
        return 1 - torch.stack(pairs).mean()

    def correlated(z: "torch.Tensor", T: float, beta: float, gamma: float) -> "torch.Tensor":
        q, p = torch.softmax(z / T, 1), torch.softmax(v / T, 1)
        return beta * distance(q, p) + gamma * distance(q.T, p.T)

    def standard(z: "torch.Tensor") -> "torch.Tensor":
        return (z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True)

    def standardized(z: "torch.Tensor") -> "torch.Tensor":
        logq, logp = F.log_softmax(standard(z) / 2, 1), F.log_softmax(standard(v) / 2, 1)
        return 4 * F.kl_div(logq, logp, reduction="batchmean", log_target=True)

    return [
        ("dist", lambda z: losses.dist(z, teacher), lambda z: correlated(z, 1.0, 1.0, 1.0)),
        (
            "dist, T 4, beta 0.7, gamma 3",
            lambda z: losses.dist(z, teacher, 4.0, 0.7, 3.0),
            lambda z: correlated(z, 4.0, 0.7, 3.0),
        ),
        ("standardized_kl, T 2", lambda z: losses.standardized_kl(z, teacher), standardized),
    ]


def smoothing(labels: Ints) -> LossPair:
    """Return the virtual teacher for five classes. Its cross-entropy is PyTorch's with label smoothing."""
    import torch
    from torch.nn import functional as F

    numbers, correct = torch.from_numpy(labels), 0.9
    return (
        "soft_cross_entropy, T 1, virtual_teacher",
        lambda z: losses.soft_cross_entropy(z, losses.virtual_teacher(labels, 5, correct), 1.0),
        lambda z: F.cross_entropy(z, numbers, label_smoothing=(1 - correct) * 5 / 4),
    )


def temperature_rows(logits: Floats, teacher: Floats, bound: float) -> list[Comparison]:
    """Return the rows of the divergence and its gradients with respect to the logits and to a temperature of 3.3."""
    import torch
    from torch.nn import functional as F

    loss, dlogits, dtemperature = losses.kl_with_temperature(logits, teacher, 3.3)
    z, T = torch.tensor(logits, requires_grad=True), torch.tensor(3.3, dtype=torch.float64, requires_grad=True)
    logq, logp = F.log_softmax(z / T, 1), F.log_softmax(torch.from_numpy(teacher) / T, 1)
    value = T * T * F.kl_div(logq, logp, reduction="batchmean", log_target=True)
    by_logits, by_temperature = torch.autograd.grad(value, (z, T))
    name, dtype = "kl_with_temperature, T 3.3", logits.dtype
    ours, theirs = {"loss": np.asarray(loss), "dlogits": dlogits}, {"loss": value.detach(), "dlogits": by_logits}
    rows = compare(name, str(dtype), ours, {what: a.numpy().astype(dtype) for what, a in theirs.items()}, bound)
    slope, its = np.asarray(dtemperature), by_temperature.numpy().astype(dtype)
    loose = 20 * bound if dtype == "float32" else bound  # one number, a sum of terms that may almost cancel
    return rows + compare(name, str(dtype), {"dtemperature": slope}, {"dtemperature": its}, loose)
