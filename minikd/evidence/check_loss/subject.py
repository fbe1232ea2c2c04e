"""Calls a user's loss in the same way for all frameworks, argument names and kinds of results."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from typing import NamedTuple

import numpy as np

from minikd.errors import ConfigError
from minikd.outside import ObjectKind, find, raised
from minikd.typing import Array, Floats, Ints

ROLES = ("student", "teacher", "labels", "temperature", "alpha")
"""The possible arguments of a loss, in the order in which unnamed ones are matched."""

NAMES = {
    "student": r"stu.*|.*_stu(dent)?|.*_s|s_.*|zs|z|s|outputs?|preds?|predictions?|logits",
    "teacher": r"tea.*|.*_tea(cher)?|.*_t|t_.*|zt|v|soft_targets?",
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
    respect to both networks' logits. changed: the roles of the inputs that the function changed in place.
    """

    value: float
    returned: Floats | None = None
    student: Floats | None = None
    teacher: Floats | None = None
    changed: tuple[str, ...] = ()


class CallError(Exception):
    """The user's function raised an error, or returned something that is not a loss."""


@dataclass(frozen=True)
class ExaminedLoss:
    """A user's loss. arguments: the parameter's name for each role that the function has.

    positional: the parameters that have no keyword. one_hot: it wants the labels as one-hot rows (N, K), not as class
    numbers. step, tolerance: of numeric gradients and of comparisons; larger if it computes in float32 or less.
    """

    name: str
    function: Callable[..., object]
    arguments: Mapping[str, str]
    uses_torch: bool
    source: tuple[str, ...] = ()
    first_line: int = 1
    positional: tuple[str, ...] = ()
    one_hot: bool = False
    step: float = 1e-5
    tolerance: float = 1e-5

    def __call__(self, point: LossInputs, dtype: str = "float64") -> LossOutputs:
        """Return the loss's outputs at a point. Raises CallError."""
        ask = self._ask_torch if self.uses_torch else self._ask_numpy
        try:
            # It is called hundreds of times. The verdict reports what the library warns about.
            with warnings.catch_warnings(), redirect_stdout(StringIO()):
                warnings.simplefilter("ignore")
                return ask(point, dtype)
        except CallError:
            raise
        except (Exception, SystemExit) as error:
            raise CallError(f"for logits of shape {point.student.shape} it raised {raised(error)}") from error

    def has(self, role: str) -> bool:
        """Return True if the function takes an argument of this role."""
        return role in self.arguments

    def _called(self, values: Mapping[str, object]) -> object:
        named = {parameter: values[role] for role, parameter in self.arguments.items()}
        unnamed = [named.pop(one) for one in self.positional]
        return self.function(*unnamed, **named)

    def _arrays(self, point: LossInputs) -> dict[str, Array]:
        arrays: dict[str, Array] = {"student": point.student, "teacher": point.teacher}
        if point.labels is not None:
            arrays["labels"] = np.eye(point.student.shape[1])[point.labels] if self.one_hot else point.labels
        return arrays

    def _ask_numpy(self, point: LossInputs, dtype: str) -> LossOutputs:
        before = self._arrays(point)
        before |= {role: before[role].astype(dtype) for role in ROLES[:2]}
        given = {role: value.copy() for role, value in before.items()}
        with np.errstate(all="ignore"):
            value, gradient = _parts(self._called({**point._asdict(), **given}))
        changed = tuple(role for role, old in before.items() if not np.array_equal(given[role], old))
        return LossOutputs(_scalar(value), _like(gradient, point.student), changed=changed)

    def _ask_torch(self, point: LossInputs, dtype: str) -> LossOutputs:
        torch = import_module("torch")
        before = {role: torch.tensor(value) for role, value in self._arrays(point).items()}
        before |= {role: before[role].to(getattr(torch, dtype)).requires_grad_() for role in ROLES[:2]}
        # As in a training, the logits are not leaves of the graph, so a loss can change them in place.
        given = {role: value.clone() for role, value in before.items()}
        value, returned = _parts(self._called({**point._asdict(), **given}))
        changed = tuple(role for role, old in before.items() if not torch.equal(given[role], old))
        loss = torch.as_tensor(value) if hasattr(value, "backward") else None
        if returned is None and loss is not None and loss.requires_grad and loss.numel() == 1:
            try:
                loss.backward()
            except RuntimeError as error:
                raise CallError(f"PyTorch cannot compute its gradient: {error}") from error
        gradients = (before[role].grad for role in ROLES[:2])
        dz, dv = (None if one is None else one.double().numpy() for one in gradients)
        return LossOutputs(_scalar(value), _like(returned, point.student), dz, dv, changed)


def _parts(found: object) -> tuple[object, object]:
    """Return (loss, gradient) of what a function returned; the gradient is None if it returned a loss alone."""
    if not isinstance(found, tuple | list):
        return found, None
    if len(found) == 2:
        return found[0], found[1]
    raise CallError(f"it returned {len(found)} values; return the loss, or the loss and its gradient")


def _scalar(value: object) -> float:
    found = _array(value)
    if found is None:
        raise CallError(f"it returned {value if value is None else type(value).__name__}, but a loss is one number")
    if found.size != 1:
        raise CallError(
            f"it returned a loss of shape {found.shape}, one value for each sample or class; sum over the classes "
            "and take the mean over the batch"
        )
    return float(found.reshape(()))


def _array(value: object) -> Floats | None:
    """Return a number, an array or a tensor as float64; None if it is something else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    try:
        found = np.asarray(value)
        return None if found.dtype.kind not in "iuf" else found.astype(np.float64)
    except ValueError:  # rows of different lengths
        return None


def _like(gradient: object, student: Floats) -> Floats | None:
    """Return the gradient as float64. It must have the shape of the student's logits."""
    if gradient is None:
        return None
    found = _array(gradient)
    if found is None:
        raise CallError(
            f"its second value is a {type(gradient).__name__}; return the loss, or the loss and its gradient"
        )
    if found.shape != student.shape:
        raise CallError(
            f"its gradient has shape {found.shape}, but the student's logits have {student.shape}; return the loss, or "
            "the loss and its gradient"
        )
    return found


def subject_of(spec: str) -> ExaminedLoss:
    """Return the loss that `spec`, "file.py:name", names. ":name" is optional for a file with only one function.

    Raises ConfigError if the file does not run, the name is missing, or the meaning of an argument is unknown.
    """
    found = find(spec, LOSS)
    thing = made(found.thing, found.where)
    lines, first = source_of(found.thing)
    arguments = arguments_of(thing, found.name)
    unnamed = tuple(
        one.name
        for one in parameters_of(thing, found.name)
        if one.kind is one.POSITIONAL_ONLY and one.name in arguments.values()
    )
    return ExaminedLoss(found.where, thing, arguments, uses_torch(found.names), lines, first, unnamed)


def _is_function(key: str, value: object, names: Mapping[str, object]) -> bool:
    return inspect.isfunction(value) and value.__module__ == names["__name__"]


LOSS = ObjectKind("which function is the loss", "no function", "my_loss.py:my_loss", _is_function)
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


def parameters_of(function: Callable[..., object], name: str) -> list[inspect.Parameter]:
    """Return the parameters of a function, or of a module's forward pass, without *args and **kwargs.

    Raises ConfigError if they cannot be found.
    """
    call = function.forward if hasattr(function, "forward") else function
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except ValueError as error:
        if not hasattr(call, "schema"):
            raise ConfigError(f"{name} does not show its parameters; call it in a function of your own") from error
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD  # a function of torch.jit.script; its defaults are not needed
        parameters = [inspect.Parameter(one.name, kind) for one in call.schema.arguments]
    return [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]


def arguments_of(function: Callable[..., object], name: str) -> dict[str, str]:
    """Return the parameter of each role: by common names, then the other required parameters in order.

    Raises ConfigError if a required parameter is left over, or a network's logits are missing.
    """
    parameters = parameters_of(function, name)
    found: dict[str, str] = {}
    for role in ROLES:
        fitting = [
            one.name for one in parameters if re.fullmatch(NAMES[role], one.name) and one.name not in found.values()
        ]
        if fitting:
            found[role] = max(fitting, key=len)  # (y, teacher_scores, labels): y is not the labels
    for one in parameters:
        open_roles = [role for role in ROLES if role not in found]
        if one.name not in found.values() and one.default is one.empty:
            if not open_roles:
                raise ConfigError(f"{name} needs {one.name!r}, whose meaning is not known; give it a default")
            found[open_roles[0]] = one.name
    if missing := [role for role in ROLES[:2] if role not in found]:
        raise ConfigError(
            f"{name} takes ({', '.join(one.name for one in parameters)}): which are the {' and the '.join(missing)}'s "
            "logits? Name them student_logits and teacher_logits, and the others labels, temperature and alpha"
        )
    return {role: found[role] for role in ROLES if role in found}
