"""Gradient checks of the feature losses. Each loss is a function of the student's features and of its own weights."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from minikd import losses
from minikd.evidence.gradcheck.check import check_function
from minikd.evidence.gradcheck.numeric import NamedArrays, cast_like, tie_free
from minikd.evidence.gradcheck.report import GradientReport
from minikd.typing import Floats, Scalar

N, Ds, Dt, E = 5, 4, 6, 3
MAPS, TEACHER_MAPS = (3, 4, 2, 5), (3, 2, 2, 5)
"""Uneven on purpose: the batch size differs from the widths, the student is narrower than the teacher, maps are not
square."""

LossAndGradients = tuple[Scalar, *tuple[Floats, ...]]
"""What a loss returns: its value, and its gradient with respect to each of its arrays."""


class FeatureCase(NamedTuple):
    """A loss of features. `run(arrays)` gives the loss and a gradient for each array, in the order of `point`."""

    name: str
    run: Callable[[NamedArrays], LossAndGradients]
    point: NamedArrays


def feature_cases(rng: np.random.Generator) -> Iterator[FeatureCase]:
    """Yield every loss of features, at features that are not 0 and all different."""
    ft, maps = tie_free((N, Dt), rng), tie_free(TEACHER_MAPS, rng)
    for fs in (tie_free((N, Ds), rng), tie_free(MAPS, rng)):
        of = ", maps" if fs.ndim == 4 else ""
        yield from _weighted(fs, ft[: len(fs)], of, rng)
        for name in ("similarity_preserving", "rkd_distance", "rkd_angle", "pkt"):
            yield FeatureCase(name + of, _taught(getattr(losses, name), maps if of else ft), {"fs": fs})
    far = tie_free((N, Ds), rng)
    far[2] *= 9
    yield FeatureCase("rkd_distance, past Huber's bend", _taught(losses.rkd_distance, ft), {"fs": far})
    for p in (1.0, 2.0, 3.0):
        run = _taught(lambda fs, ft, p=p: losses.attention_transfer(fs, ft, p), maps)
        yield FeatureCase(f"attention_transfer, p={p:g}", run, {"fs": tie_free(MAPS, rng)})


def _weighted(fs: Floats, ft: Floats, of: str, rng: np.random.Generator) -> Iterator[FeatureCase]:
    """Yield the losses that have weights."""
    width = fs[0].size
    regressor = {"fs": fs, "w": tie_free((Dt, width), rng), "b": tie_free((Dt,), rng)}
    for name in ("hint", "cosine"):
        yield FeatureCase(name + of, _taught(getattr(losses, name), ft), regressor)
    projections = {"fs": fs, "ws": tie_free((E, width), rng), "wt": tie_free((E, Dt), rng)}
    yield FeatureCase("contrastive" + of, _taught(losses.contrastive, ft), projections)


def _taught(loss: Callable[..., LossAndGradients], ft: Floats) -> Callable[[NamedArrays], LossAndGradients]:
    """Return the loss with a fixed teacher's feature, as a function of its arrays."""

    def run(arrays: NamedArrays) -> LossAndGradients:
        fs, *weights = arrays.values()
        return loss(fs, cast_like(ft, fs), *weights)

    return run


def check_feature_loss(case: FeatureCase, rng: np.random.Generator, full: bool) -> GradientReport:
    """Check the gradients of a loss of features with respect to the features and the weights."""

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        value, *gradients = case.run(arrays)
        return np.asarray(value), dict(zip(arrays, gradients, strict=True))

    def backward(dy: Floats, cache: object) -> Mapping[str, Floats]:
        assert isinstance(cache, dict)
        return {name: dy * gradient for name, gradient in cache.items()}

    return check_function(forward, backward, case.point, rng, full=full)


def check_unit_rows(rng: np.random.Generator, full: bool) -> GradientReport:
    """Check the backward pass of rows that are scaled to norm 1."""

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        a, length = losses.unit_rows(arrays["x"])
        return a, (a, length)

    def backward(da: Floats, cache: object) -> Mapping[str, Floats]:
        assert isinstance(cache, tuple)
        return {"x": losses.unit_rows_backward(da, *cache)}

    return check_function(forward, backward, {"x": tie_free((2, 3, 4), rng)}, rng, full=full)
