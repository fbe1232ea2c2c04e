"""A method made of a user's plain function (student_logits, teacher_logits, labels) -> (loss, gradient).

The loss is a mean over the batch, and the gradient is with respect to the student's logits. Before training, the
function is tested once on a few random logits. Its loss and gradient must have the right shapes and dtypes, and the
gradient must be the derivative of the loss. The loss of a batch must be the mean over its parts, because a batch may be
divided into shards. A loss that compares the samples of a batch needs `my_loss.across_batch = True`.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, make_dataclass
from typing import Any, ClassVar

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.errors import ConfigError, DtypeError, GradientError, ShapeError
from minikd.methods.logits import LogitMethod, LogitObjective, Loss
from minikd.methods.method import Ask, Method, Pair
from minikd.settings import setting
from minikd.training.objective import Answer, Objective, Step, Term
from minikd.typing import Floats, Ints, Scalar

LossFunction = Callable[..., object]
"""A user's loss function. Its return value is checked."""

SIGNATURE = "(student_logits, teacher_logits, labels)"

SAMPLES, DIRECTIONS = 6, 4
"""The number of samples for the test of a function, and of random directions for the check of its gradient."""

STEP, CLOSE = 1e-5, 1e-4
"""The step of a central difference in float64, whose error is about STEP², and the allowed relative error."""


@dataclass(frozen=True)
class FunctionMethod(LogitMethod):
    """The base of methods that are made from a function. Their settings are the function's other arguments."""

    needs: ClassVar[tuple[str, ...]] = ("labels", "teacher's logits")
    function: ClassVar[LossFunction]
    across_batch: ClassVar[bool] = False

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        self.try_out(pair.student.output_shape(pair.image)[0], pair.student.vector)
        return LogitObjective(self, ask((), self.temperature), self.across_batch)

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        return (Term("soft", 1.0, *self.loss(student.logits, teacher.logits, batch.labels)),)

    def loss(self, student_logits: Floats, teacher_logits: Floats, labels: Ints) -> Loss:
        """Return the function's loss and gradient. Raises ConfigError, ShapeError and DtypeError for invalid ones."""
        settings = {one.name: getattr(self, one.name) for one in fields(self)}
        found = type(self).function(student_logits, teacher_logits, labels, **settings)
        return checked(found, student_logits, self.name)

    def try_out(self, classes: int, like: Floats) -> None:
        """Refuse a function whose loss or gradient is wrong for random logits (N, K) on the device of `like`.

        Raises the errors of `loss`, GradientError for a gradient that is not the loss's, and ConfigError for NaN and
        infinity, for a random loss, and for a loss that compares the samples of a batch without `across_batch`.
        """
        xp, rng = module_of(like), np.random.default_rng(0)
        student, teacher = (xp.asarray(2 * rng.normal(size=(SAMPLES, classes))) for _ in range(2))
        labels = rng.integers(0, classes, SAMPLES)
        self.loss(student.astype(like.dtype), teacher.astype(like.dtype), labels)
        value, gradient = self.loss(student, teacher, labels)
        if not np.isfinite(float(value)) or not bool(xp.isfinite(gradient).all()):
            what = f"the loss {float(value)}" if not np.isfinite(float(value)) else "NaN or infinity in its gradient"
            raise ConfigError(
                f"{self.name} returned {what} for ordinary logits; subtract the largest logit before exp, and take the "
                "logarithm of a softmax as log_softmax"
            )
        if float(self.loss(student, teacher, labels)[0]) != float(value):
            raise ConfigError(f"{self.name} returned two losses for the same logits, so it is random: {AS_METHOD}")
        self.check_gradient(student, teacher, labels, gradient)
        self.check_parts(student, teacher, labels, float(value))

    def check_gradient(self, student: Floats, teacher: Floats, labels: Ints, gradient: Floats) -> None:
        """Refuse a gradient that is not the derivative of the loss along random directions."""
        xp, rng = module_of(student), np.random.default_rng(1)
        length = float(xp.sqrt((gradient * gradient).sum()))
        for _ in range(DIRECTIONS):
            v = xp.asarray(rng.normal(size=student.shape))
            ahead, behind = (float(self.loss(student + h * v, teacher, labels)[0]) for h in (STEP, -STEP))
            numeric, told = (ahead - behind) / (2 * STEP), float((gradient * v).sum())
            if abs(numeric - told) > CLOSE * (abs(numeric) + length):
                raise GradientError(
                    f"{self.name}: its gradient is not the derivative of its loss: along a random direction the loss "
                    f"changes by {numeric:.6g}, and the gradient says {told:.6g}; `minikd check-loss FILE.py:NAME` "
                    f"names usual causes. If this is intended: {AS_METHOD}"
                )

    def check_parts(self, student: Floats, teacher: Floats, labels: Ints, whole: float) -> None:
        """Refuse a loss that is not the mean over the parts of a batch, unless its `across_batch` is True."""
        if self.across_batch:
            return
        half = SAMPLES // 2
        parts = [
            float(self.loss(student[cut], teacher[cut], labels[cut])[0]) for cut in (slice(half), slice(half, None))
        ]
        if abs(sum(parts) / 2 - whole) > 1e-9 * (abs(whole) + sum(map(abs, parts))):
            raise ConfigError(
                f"{self.name}: the loss of {SAMPLES} samples is {whole:.6g}, but the mean over its two halves is "
                f"{sum(parts) / 2:.6g}, so a batch cannot be cut into shards; return the mean over the batch, not "
                f"the sum, or mark that it compares samples of a batch: {self.name}.across_batch = True"
            )


AS_METHOD = "write it as a subclass of minikd.methods.LogitMethod, which is not checked"


def checked(found: object, logits: Floats, name: str) -> Loss:
    """Return a loss and its gradient with respect to the logits, or refuse anything else."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        what = f"{len(found)} values" if isinstance(found, tuple | list) else f"a {type(found).__name__}"
        raise ConfigError(
            f"{name} returned {what}, but must return the pair (loss, gradient with respect to the student's logits)"
        )
    value, gradient = found
    if getattr(value, "shape", ()) != () or not hasattr(value, "__float__"):
        what = f"shape {value.shape}" if hasattr(value, "shape") else f"type {type(value).__name__}"
        raise ShapeError(f"{name} returned a loss of {what}, but it must be one number: the mean over the batch")
    if not isinstance(gradient, module_of(logits).ndarray):
        raise DtypeError(
            f"{name} returned a gradient of type {type(gradient).__name__}, but it must be an array of "
            f"{module_of(logits).__name__}, as the logits are"
        )
    if gradient.shape != logits.shape:
        raise ShapeError(f"{name} returned a gradient of shape {gradient.shape}, but the logits have {logits.shape}")
    if gradient.dtype != logits.dtype:
        raise DtypeError(
            f"{name} returned a gradient in {gradient.dtype}, but the logits are {logits.dtype}; return "
            "gradient.astype(student_logits.dtype)"
        )
    array = module_of(logits).asarray(value)
    if array.dtype.kind not in "fiu":
        raise DtypeError(f"{name} returned a loss in {array.dtype}, but it must be a number")
    number: Scalar = array[()]
    return number, gradient


def from_function(function: LossFunction, name: str = "") -> type[Method]:
    """Return the method whose loss is `function`. The arguments after the first three are the method's settings.

    The default of such an argument is a number or a string. Raises ConfigError for other parameters.
    """
    name = name or getattr(function, "__name__", type(function).__name__)
    parameters = settings_of(function, name)
    settings = [(one.name, type(one.default), described(one.name, one.default)) for one in parameters]
    doc = inspect.getdoc(function) or "a loss function of the user"
    namespace = {
        **{"name": name, "summary": doc.splitlines()[0].rstrip("."), "paper": "", "function": staticmethod(function)},
        "across_batch": bool(getattr(function, "across_batch", False)),
    }
    made: type[Method] = make_dataclass(name, settings, bases=(FunctionMethod,), namespace=namespace, frozen=True)
    return made


def described(name: str, default: Any) -> Any:
    """Return the field of a setting of which only the default is known."""
    if name == "temperature":
        return setting(float(default), "softens student and teacher", above=0)
    return setting(default, "an argument of the function")


def settings_of(function: LossFunction, name: str) -> list[inspect.Parameter]:
    """Return a function's parameters after the first three, or refuse parameters that do not fit a loss."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{name} does not declare its parameters, but must take {SIGNATURE}") from error
    shown = f"({', '.join(map(str, parameters))})"
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 3 and not any(one.kind is one.VAR_POSITIONAL for one in parameters):
        raise ConfigError(f"{name} takes {shown}, but must take {SIGNATURE}")
    first = [one.name for one in positional[:2]]
    if first and ("teacher" in first[0] or ("student" in first[-1] and len(first) > 1)):
        raise ConfigError(f"{name} takes {shown}, in another order than {SIGNATURE}; the student's logits come first")
    rest = [one for one in parameters if one not in positional[:3] and one.kind not in VARIADIC]
    if lacking := [one.name for one in rest if one.default is one.empty]:
        raise ConfigError(f"{name} takes {shown}; after {SIGNATURE} each needs a default, as {lacking[0]}=1.0")
    for one in rest:
        if hasattr(FunctionMethod, one.name) and one.name != "temperature":
            raise ConfigError(f"{name} takes {shown}, and {one.name!r} is a name that every method has; choose another")
    return [one for one in rest if type(one.default) in (int, float, str)]


VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
