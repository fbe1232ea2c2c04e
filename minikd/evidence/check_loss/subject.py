"""Calls a user's loss in the same way for all frameworks, argument names and kinds of results."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

import numpy as np

from minikd.errors import ConfigError
from minikd.outside import Wanted, find, raised
from minikd.typing import Array, Floats, Ints

ROLES = ("student", "teacher", "labels", "temperature", "alpha")
"""The possible arguments of a loss, in the order in which unnamed ones are matched."""

NAMES = {
    "student": r"student.*|.*_student|logits_s|s_logits|y_s|z_s|zs|z|s|outputs?|preds?|predictions?|logits",
    "teacher": r"teacher.*|.*_teacher|logits_t|t_logits|y_t|z_t|zt|v|soft_targets?",
    "labels": r"labels?|targets?|hard_targets?|y|y_true|ground_truth|gt",
    "temperature": r"temperature|temp|tau|T|kd_T",
    "alpha": r"alpha|a|kd_alpha|lambda_?|lam|soft_weight",
}
"""Common names of each argument, as regular expressions for the whole name. T is the temperature; t is ambiguous."""


class LossInputs(NamedTuple):
    """The inputs of a loss: logits (N, K) of both networks, class numbers (N,) or None, T, and alpha."""

    student: Floats
    teacher: Floats
    labels: Ints | None
    temperature: float
    alpha: float


class LossOutputs(NamedTuple):
    """The outputs of a loss, in float64. Gradients are None if there are none.

    value: the loss. returned: the gradient that it returns with its value. student, teacher: PyTorch's gradients with
    respect to both networks' logits.
    """

    value: float
    returned: Floats | None = None
    student: Floats | None = None
    teacher: Floats | None = None


class CallError(Exception):
    """The user's function raised an error, or returned something that is not a loss."""


@dataclass(frozen=True)
class ExaminedLoss:
    """A user's loss. arguments: the parameter's name for each role that the function has."""

    name: str
    function: Callable[..., object]
    arguments: Mapping[str, str]
    uses_torch: bool
    source: tuple[str, ...] = ()
    first_line: int = 1

    def __call__(self, point: LossInputs, dtype: str = "float64") -> LossOutputs:
        """Return the loss's outputs at a point. Raises CallError."""
        ask = self._ask_torch if self.uses_torch else self._ask_numpy
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the verdict reports what the library warns about
                return ask(point, dtype)
        except CallError:
            raise
        except Exception as error:
            raise CallError(f"it raised {raised(error)}") from error

    def has(self, role: str) -> bool:
        """Return True if the function takes an argument of this role."""
        return role in self.arguments

    def _bound(self, values: Mapping[str, object]) -> dict[str, object]:
        return {parameter: values[role] for role, parameter in self.arguments.items()}

    def _ask_numpy(self, point: LossInputs, dtype: str) -> LossOutputs:
        arrays = {"student": point.student.astype(dtype), "teacher": point.teacher.astype(dtype)}
        with np.errstate(all="ignore"):
            found = self.function(**self._bound({**point._asdict(), **arrays}))
        value, gradient = _parts(found)
        return LossOutputs(_scalar(np.asarray(value)), _like(gradient, point.student))

    def _ask_torch(self, point: LossInputs, dtype: str) -> LossOutputs:
        torch = import_module("torch")
        student, teacher = (
            torch.tensor(value, dtype=getattr(torch, dtype), requires_grad=True)
            for value in (point.student, point.teacher)
        )
        labels = None if point.labels is None else torch.tensor(point.labels)
        given = {**point._asdict(), "student": student, "teacher": teacher, "labels": labels}
        value, returned = _parts(self.function(**self._bound(given)))
        loss = torch.as_tensor(value)
        if loss.requires_grad and loss.numel() == 1:
            loss.backward()
        by_autograd = [None if one.grad is None else one.grad.double().numpy() for one in (student, teacher)]
        if hasattr(returned, "detach"):
            returned = returned.detach().double().numpy()
        return LossOutputs(_scalar(loss.detach().double().numpy()), _like(returned, point.student), *by_autograd)


def _parts(found: object) -> tuple[object, object]:
    """Return (loss, gradient) of what a function returned; the gradient is None if it returned a loss alone."""
    if not isinstance(found, tuple | list):
        return found, None
    if len(found) == 2:
        return found[0], found[1]
    raise CallError(f"it returned {len(found)} values; return the loss, or the loss and its gradient")


def _scalar(value: Array) -> float:
    if value.size != 1:
        raise CallError(
            f"it returned a loss of shape {value.shape}, one value for each sample or class; sum over the classes "
            "and take "
            "the mean over the batch"
        )
    return float(value.reshape(()))


def _like(gradient: object, student: Floats) -> Floats | None:
    """Return the gradient as float64. It must have the shape of the student's logits."""
    if gradient is None:
        return None
    found: Floats = np.asarray(gradient, np.float64)
    if found.shape != student.shape:
        raise CallError(f"its gradient has shape {found.shape}, but the student's logits have {student.shape}")
    return found


def subject_of(spec: str) -> ExaminedLoss:
    """Return the loss that `spec`, "file.py:name", names. ":name" is optional for a file with only one function.

    Raises ConfigError if the file does not run, the name is missing, or the meaning of an argument is unknown.
    """
    found = find(spec, LOSS)
    thing = made(found.thing, found.where)
    lines, first = source_of(found.thing)
    return ExaminedLoss(found.where, thing, arguments_of(thing, found.name), uses_torch(found.names), lines, first)


def _is_function(key: str, value: object, names: Mapping[str, object]) -> bool:
    return inspect.isfunction(value) and value.__module__ == names["__name__"]


LOSS = Wanted("which function is the loss", "no function", "my_loss.py:my_loss", _is_function)
"""What `minikd check-loss` looks for in a file."""


def made(thing: object, where: str) -> Callable[..., object]:
    """Return a function or a callable object. A loss's class is called without arguments."""
    try:
        found = thing() if inspect.isclass(thing) else thing
    except Exception as error:
        raise ConfigError(
            f"{where} cannot be created without arguments ({error}); create one in the file and give its name"
        ) from error
    if not callable(found):
        raise ConfigError(f"{where} is a {type(found).__name__}, but a loss must be a function that can be called")
    called: Callable[..., object] = found
    return called


def uses_torch(names: Mapping[str, object]) -> bool:
    """Return True if a file has imported PyTorch or a part of it."""
    of = (
        getattr(value, "__name__", "") if inspect.ismodule(value) else type(value).__module__
        for value in names.values()
    )
    modules = [*of, *(getattr(value, "__module__", "") or "" for value in names.values())]
    return any(str(module).split(".")[0] == "torch" for module in modules)


def source_of(thing: object) -> tuple[tuple[str, ...], int]:
    """Return the source lines of a function or class and the number of the first; empty without a source."""
    try:
        lines, first = inspect.getsourcelines(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return (), 1
    return tuple(line.rstrip("\n") for line in lines), first


def arguments_of(function: Callable[..., object], name: str) -> dict[str, str]:
    """Return the parameter of each role: by common names, then the other required parameters in order.

    Raises ConfigError if a required parameter is left over, or a network's logits are missing.
    """
    call = function.forward if hasattr(function, "forward") else function
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = [one for one in inspect.signature(call).parameters.values() if one.kind in kinds]
    found: dict[str, str] = {}
    for role in ROLES:
        fitting = [
            one.name for one in parameters if re.fullmatch(NAMES[role], one.name) and one.name not in found.values()
        ]
        if fitting:
            found[role] = fitting[0]
    for one in parameters:
        open_roles = [role for role in ROLES if role not in found]
        if one.name not in found.values() and one.default is one.empty:
            if not open_roles:
                raise ConfigError(f"{name} needs {one.name!r}, whose meaning is not known; give it a default")
            found[open_roles[0]] = one.name
    if missing := [role for role in ROLES[:2] if role not in found]:
        raise ConfigError(
            f"{name} takes ({', '.join(one.name for one in parameters)}): which are the {' and the '.join(missing)}'s "
            "logits? Name them student_logits and teacher_logits, then labels, temperature and alpha where it has them"
        )
    return {role: found[role] for role in ROLES if role in found}
