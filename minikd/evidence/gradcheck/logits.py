"""Cases of the suite: the losses between the logits of a student and of its teacher, and the learned temperature."""

from collections.abc import Iterator

import numpy as np

from minikd import losses
from minikd.evidence.gradcheck.check import check_function
from minikd.evidence.gradcheck.numeric import NamedArrays, cast_like, tie_free
from minikd.evidence.gradcheck.report import GradientReport
from minikd.evidence.gradcheck.subjects import LossOfLogits
from minikd.typing import Floats, Ints

LossCase = tuple[str, LossOfLogits, dict[str, float]]
"""Name, loss as a function of the student's logits, and its constants."""


def logit_cases(teacher: Floats, labels: Ints) -> Iterator[LossCase]:
    """Yield every logit loss with a teacher's logits (N, K). Temperatures and weights differ from 1."""
    T, K = {"T": 4.0}, teacher.shape[1]

    def t(z: Floats) -> Floats:
        return cast_like(teacher, z)

    yield "reverse_kl, T=4", lambda z: losses.reverse_kl(z, t(z), 4.0), T
    for beta in (0.5, 0.2):
        yield f"jensen_shannon, T=4, β={beta:g}", _jensen_shannon(teacher, beta), {**T, "β": beta, "1 − β": 1 - beta}
    yield "soft_cross_entropy, T=4", lambda z: losses.soft_cross_entropy(z, t(z), 4.0), T
    yield "logit_matching", lambda z: losses.logit_matching(z, t(z)), {}
    yield (
        "dkd, T=4, α=0.7, β=3",
        lambda z: losses.dkd(z, t(z), labels, 4.0, 0.7, 3.0),
        {**T, "α": 0.7, "β": 3.0},
    )
    yield "dist", lambda z: losses.dist(z, t(z)), {}
    yield "dist, T=4, β=0.7, γ=3", lambda z: losses.dist(z, t(z), 4.0, 0.7, 3.0), {**T, "β": 0.7, "γ": 3.0}
    yield "standardized_kl, T=2", lambda z: losses.standardized_kl(z, t(z), 2.0), {"T": 2.0}
    by_hand = losses.virtual_teacher(labels, K).astype(np.float64)
    yield "kl_divergence, T=4, virtual_teacher", lambda z: losses.kl_divergence(z, cast_like(by_hand, z), 4.0), T


def _jensen_shannon(teacher: Floats, beta: float) -> LossOfLogits:
    return lambda z: losses.jensen_shannon(z, cast_like(teacher, z), 4.0, beta)


def check_kl_with_temperature(rng: np.random.Generator, full: bool) -> GradientReport:
    """Check the divergence's gradients with respect to the student's logits and the temperature together."""
    teacher = 3 * rng.standard_normal((5, 4))

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        z, T = arrays["logits"], arrays["temperature"].item()
        loss, dlogits, dtemperature = losses.kl_with_temperature(z, cast_like(teacher, z), T)
        return np.asarray(loss), (dlogits, dtemperature)

    def backward(dy: Floats, cache: object) -> NamedArrays:
        assert isinstance(cache, tuple)
        dlogits, dtemperature = cache
        return {"logits": dy * dlogits, "temperature": np.reshape(dy * dtemperature, (1,))}

    point = {"logits": tie_free((5, 4), rng), "temperature": np.array([3.3])}
    return check_function(forward, backward, point, rng, full=full, constants={"T": 3.3})
