"""The engine's gradient checks, as `minikd gradcheck` prints them: every layer, every loss, whole models.

Sizes are uneven on purpose (two images, height unlike width, kernel 3x2, stride (2, 1), padding (1, 2)), because most
mistakes in a backward pass cancel on a square image with stride 1, or in a batch of one.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minikd import losses, nn
from minikd.console.layout import aligned, wrapped_lines
from minikd.evidence.gradcheck.check import check_function
from minikd.evidence.gradcheck.features import FeatureCase, check_feature_loss, check_unit_rows, feature_cases
from minikd.evidence.gradcheck.logits import LossCase, check_kl_with_temperature, logit_cases
from minikd.evidence.gradcheck.numeric import NamedArrays, cast_like, tie_free
from minikd.evidence.gradcheck.report import GradientReport
from minikd.evidence.gradcheck.subjects import LossOfLogits, check_layer, check_loss, check_model
from minikd.typing import Floats, Scalar, Shape

IMAGES = (2, 4, 7, 6)
ROWS = (5, 7)
LABELS = np.array([2, 0, 3, 1, 2])


def run_suite(rng: np.random.Generator, full: bool = False) -> tuple[GradientReport, ...]:
    """Check every layer, every loss and a model of each kind; `full` also differences every element."""
    return tuple(check.run(rng, full) for check in checks(rng))


def table(reports: Sequence[GradientReport]) -> str:
    """Return the reports as a table of text, with the messages of those that failed below it."""
    rows = [(r.name, "ok" if r.ok else "WRONG", f"{r.relative_error:.0e}", f"{r.bound:.0e}") for r in reports]
    failed = [r for r in reports if not r.ok]
    parts = [aligned((("", "result", "relative error", "bound"),), rows, left=(1,))]
    parts.append(f"{len(rows) - len(failed)} of {len(rows)} right")
    return "\n\n".join([*parts, *(wrapped_lines(r.message) for r in failed)])


class GradientCheck(NamedTuple):
    """A check of the suite: `check(rng, full)` returns the report, and `run(rng, full)` adds its name."""

    name: str
    check: Callable[[np.random.Generator, bool], GradientReport]

    def run(self, rng: np.random.Generator, full: bool) -> GradientReport:
        return self.check(rng, full).named(self.name)


def checks(rng: np.random.Generator) -> Iterator[GradientCheck]:
    """Yield every check of the suite, with weights of layers and models drawn from `rng`."""
    for name, layer, shape, training in layers(rng):
        yield _layer_check(name, layer, shape, training)
    yield GradientCheck("Embedding", check_embedding)
    for name, loss, constants in loss_cases(rng):
        yield _loss_check(name, loss, constants)
    yield GradientCheck("kl_with_temperature", check_kl_with_temperature)
    for case in feature_cases(rng):
        yield _feature_check(case)
    yield GradientCheck("unit_rows", check_unit_rows)
    yield from _softmax_checks()
    for name, model, shape, training in models(rng):
        yield _model_check(name, model, shape, training)


def layers(rng: np.random.Generator) -> Iterator[tuple[str, nn.Layer, Shape, bool]]:
    """Yield name, layer, input shape and mode of every layer of the engine, for all kinds of arguments."""
    stride, padding = (2, 1), (1, 2)
    yield "Linear", nn.Linear(7, 4, rng), ROWS, False
    yield "Linear, no bias", nn.Linear(7, 4, rng, bias=False), ROWS, False
    yield "Conv2d", nn.Conv2d(4, 3, (3, 2), rng), IMAGES, False
    yield "Conv2d, stride, padding", nn.Conv2d(4, 3, (3, 2), rng, stride, padding), IMAGES, False
    yield "Conv2d, dilation 2", nn.Conv2d(4, 3, (3, 2), rng, stride, padding, dilation=2), IMAGES, False
    yield "Conv2d, groups 2", nn.Conv2d(4, 6, (3, 2), rng, stride, padding, (1, 2), groups=2), IMAGES, False
    yield "Conv2d, depthwise", nn.Conv2d(4, 8, (3, 2), rng, stride, padding, groups=4), IMAGES, False
    yield "Conv2d, one channel", nn.Conv2d(1, 3, (3, 2), rng, stride, padding), (2, 1, 7, 6), False
    yield "Conv2d, 1x1", nn.Conv2d(4, 3, 1, rng, stride=(2, 3)), IMAGES, False
    yield "Conv2d, no bias", nn.Conv2d(4, 6, (3, 2), rng, stride, padding, groups=2, bias=False), IMAGES, False
    for pool in (nn.MaxPool2d, nn.AvgPool2d):
        yield f"{pool.__name__}, gaps and rest", pool((2, 2), (3, 2)), IMAGES, False
        yield f"{pool.__name__}, overlapping", pool((3, 2), (2, 1), (1, 1)), IMAGES, False
        yield f"{pool.__name__}, 1x1", pool(1, 2), IMAGES, False
    yield "GlobalAvgPool2d", nn.GlobalAvgPool2d(), IMAGES, False
    yield "Flatten", nn.Flatten(), IMAGES, False
    for activation in (nn.ReLU(), nn.LeakyReLU(0.1), nn.Sigmoid(), nn.Tanh(), nn.GELU()):
        yield type(activation).__name__, activation, ROWS, False
    for training in (True, False):
        mode = "training" if training else "evaluation"
        yield f"Dropout, {mode}", nn.Dropout(0.4), ROWS, training
        yield f"BatchNorm1d, {mode}", used(nn.BatchNorm1d(7), rng), ROWS, training
        yield f"BatchNorm2d, {mode}", used(nn.BatchNorm2d(4), rng), IMAGES, training
    yield "LayerNorm", nn.LayerNorm(7), ROWS, False
    yield "LayerNorm of images", nn.LayerNorm((4, 7, 6)), IMAGES, False
    yield "Residual", nn.Residual(nn.Linear(7, 4, rng), nn.Tanh(), nn.Linear(4, 7, rng)), ROWS, False
    yield "Residual, nested", nn.Residual(nn.Residual(nn.Linear(7, 7, rng)), nn.GELU()), ROWS, False


def check_embedding(rng: np.random.Generator, full: bool) -> GradientReport:
    """Check the embedding's gradient with respect to its table, with repeated ids and one row that is never used."""
    ids, table = np.array([[0, 4, 0], [2, 0, 4], [1, 1, 0], [5, 2, 2]]), nn.Embedding(7, 2, rng)

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        layer = table.astype(str(arrays["weight"].dtype))
        layer.params["weight"] = arrays["weight"]
        y, cache = layer.forward(ids)
        return y, (layer, cache)

    def backward(dy: Floats, cache: object) -> NamedArrays:
        assert isinstance(cache, tuple)
        layer, own = cache
        return dict(layer.backward(dy, own)[1])

    return check_function(forward, backward, {"weight": tie_free((7, 2), rng)}, rng, full=full)


def used(layer: nn.Layer, rng: np.random.Generator) -> nn.Layer:
    """Return the layer with random running statistics, because a mean of 0 and a variance of 1 hide mistakes."""
    for name, value in layer.state.items():
        if value.dtype.kind == "f":
            value[...] = rng.uniform(0.5, 2.0, value.shape) if "var" in name else rng.normal(0, 0.5, value.shape)
    return layer


def loss_cases(rng: np.random.Generator) -> Iterator[LossCase]:
    """Yield name, loss of (5, 4) logits, and the constants of every loss of the engine."""
    teacher = 3 * rng.standard_normal((5, 4))
    soft = losses.softmax(rng.standard_normal((5, 4)))
    yield "cross_entropy", lambda z: losses.cross_entropy(z, LABELS), {}
    yield "cross_entropy, smoothed", lambda z: losses.cross_entropy(z, LABELS, 0.1), {"ε": 0.1}
    yield "cross_entropy, soft labels", lambda z: losses.cross_entropy(z, cast_like(soft, z)), {}
    for T in (1.0, 4.0, 20.0):
        yield f"kl_divergence, T={T:g}", _kl(teacher, T), {"T": T}
    mixed = {"T": 4.0, "α": 0.7, "1 − α": 0.3}
    yield (
        "distillation_loss, T=4, α=0.7",
        lambda z: losses.distillation_loss(z, cast_like(teacher, z), LABELS, 4.0, 0.7),
        mixed,
    )
    yield "mse", lambda z: losses.mse(z, cast_like(teacher, z)), {}
    yield from logit_cases(teacher, LABELS)


def _kl(teacher: Floats, T: float) -> LossOfLogits:
    return lambda z: losses.kl_divergence(z, cast_like(teacher, z), T)


def models(rng: np.random.Generator) -> Iterator[tuple[str, nn.Sequential, Shape, bool]]:
    """Yield name, model, input shape and mode of small models of each kind; each ends in 4 logits."""
    mlp = nn.Sequential(nn.Linear(7, 6, rng), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 4, rng))
    yield "MLP", mlp, ROWS, True
    cnn = nn.Sequential(
        nn.Conv2d(1, 3, 3, rng, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(3, 4, (3, 2), rng, padding=(1, 0)),
        nn.MaxPool2d((3, 2), (2, 1)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 5, rng),
        nn.ReLU(),
        nn.Linear(5, 4, rng),
    )
    yield "CNN", cnn, (5, 1, 10, 9), True
    block = nn.Residual(nn.Conv2d(3, 3, 3, rng, padding=1), used(nn.BatchNorm2d(3), rng), nn.GELU())
    head = (nn.AvgPool2d((2, 3), (1, 2)), nn.GlobalAvgPool2d(), nn.Flatten(), nn.LayerNorm(3), nn.Linear(3, 4, rng))
    residual = nn.Sequential(nn.Conv2d(2, 3, (3, 2), rng, stride=(2, 1)), block, *head)
    yield "residual CNN, training", residual, (5, 2, 9, 6), True
    yield "residual CNN, evaluation", residual, (5, 2, 9, 6), False


def model_loss(z: Floats) -> tuple[Scalar, Floats]:
    """Return the loss at the end of the suite's models: distillation from logits that are cosines."""
    teacher = np.cos(np.arange(math.prod(z.shape))).reshape(z.shape)
    return losses.distillation_loss(z, cast_like(teacher, z), LABELS, 4.0, 0.7)


def _softmax_checks() -> Iterator[GradientCheck]:
    yield _softmax_check("softmax, T=4", losses.softmax, losses.softmax_backward)
    yield _softmax_check("log_softmax, T=4", losses.log_softmax, losses.log_softmax_backward)


def _softmax_check(
    name: str, function: Callable[[Floats, float], Floats], function_backward: Callable[[Floats, Floats, float], Floats]
) -> GradientCheck:
    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        y = function(arrays["logits"], 4.0)
        return y, y

    def backward(dy: Floats, cache: object) -> NamedArrays:
        assert isinstance(cache, np.ndarray)
        return {"logits": function_backward(dy, cache, 4.0)}

    def check(rng: np.random.Generator, full: bool) -> GradientReport:
        point = {"logits": tie_free((3, 4), rng)}
        return check_function(forward, backward, point, rng, full=full, constants={"T": 4.0})

    return GradientCheck(name, check)


def _layer_check(name: str, layer: nn.Layer, shape: Shape, training: bool) -> GradientCheck:
    def check(rng: np.random.Generator, full: bool) -> GradientReport:
        return check_layer(layer, tie_free(shape, rng), rng, training=training, full=full)

    return GradientCheck(name, check)


def _loss_check(name: str, loss: LossOfLogits, constants: dict[str, float]) -> GradientCheck:
    def check(rng: np.random.Generator, full: bool) -> GradientReport:
        return check_loss(loss, tie_free((5, 4), rng), rng, full=full, constants=constants)

    return GradientCheck(name, check)


def _feature_check(case: FeatureCase) -> GradientCheck:
    return GradientCheck(case.name, lambda rng, full: check_feature_loss(case, rng, full))


def _model_check(name: str, model: nn.Sequential, shape: Shape, training: bool) -> GradientCheck:
    def check(rng: np.random.Generator, full: bool) -> GradientReport:
        x = tie_free(shape, rng)
        return check_model(model, x, model_loss, rng, training=training, full=full)

    return GradientCheck(name, check)
