"""Checks PyTorch networks: is the teacher frozen and in evaluation mode, and can the student learn?"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Protocol, cast

from minikd.errors import ConfigError
from minikd.evidence.check_loss.judge import NOTE, OK, WRONG, LossCheck
from minikd.outside import ObjectKind, find, raised


class Parameter(Protocol):
    """The part of a parameter's interface that is used."""

    requires_grad: bool


class Module(Protocol):
    """The part of torch.nn.Module's interface that is used."""

    training: bool

    def named_modules(self) -> Iterable[tuple[str, "Module"]]: ...
    def named_parameters(self) -> Iterable[tuple[str, Parameter]]: ...


def network_of(spec: str) -> Module:
    """Return the network that `spec`, "file.py:Name", names: a module, or a class or function that makes one.

    Raises ConfigError if it is not a torch.nn.Module.
    """
    module = import_module("torch").nn.Module
    wanted = ObjectKind(
        "which is the network",
        "no torch.nn.Module",
        "my_network.py:student",
        lambda _, value, names: isinstance(value, module) or is_own_class(value, module, names),
    )
    thing = find(spec, wanted).thing
    if not isinstance(thing, module) and callable(thing):
        thing = made(thing, spec)
    if not isinstance(thing, module):
        raise ConfigError(
            f"{spec} is {type(thing).__name__}, but must be a torch.nn.Module, or a function that makes one"
        )
    return cast(Module, thing)


def is_own_class(value: object, module: type, names: Mapping[str, object]) -> bool:
    """Return whether a value is a network's class that is defined in this file."""
    return inspect.isclass(value) and issubclass(value, module) and value.__module__ == names["__name__"]


def made(thing: Callable[..., object], spec: str) -> object:
    """Return the result of a class or function, called without arguments."""
    if inspect.isclass(thing) or inspect.isfunction(thing):
        try:
            return thing()
        except Exception as error:
            raise ConfigError(
                f"{spec} cannot be created without arguments: {raised(error)}; create one in the file and give its name"
            ) from error
    return thing


def teacher_rows(teacher: Module) -> list[LossCheck]:
    """Return the rows of a teacher: its mode, and whether its parameters are frozen."""
    noisy = [name for name, part in teacher.named_modules() if part.training and depends_on_mode(part)]
    trained = [name for name, value in teacher.named_parameters() if value.requires_grad]
    mode = f"it is in training mode, and {noisy[0] or 'it'} answers otherwise there" if noisy else ""
    grads = f"{len(trained)} parameters still take gradients, {trained[0]} first" if trained else ""
    return [
        LossCheck("teacher's mode", WRONG if mode else OK, mode, "teacher-training" if mode else ""),
        LossCheck("teacher is frozen", WRONG if grads else OK, grads, "teacher-trained" if grads else ""),
    ]


def student_rows(student: Module) -> list[LossCheck]:
    """Return the rows of a student: its mode, and whether it can learn at all."""
    still = [name for name, part in student.named_modules() if not part.training and depends_on_mode(part)]
    parameters = list(student.named_parameters())
    frozen = [name for name, value in parameters if not value.requires_grad]
    mode = f"it is in evaluation mode, and {still[0] or 'it'} learns otherwise there" if still else ""
    grads = f"{len(frozen)} parameters take no gradients, {frozen[0]} first" if frozen else ""
    verdict = WRONG if frozen and len(frozen) == len(parameters) else NOTE if frozen else OK
    return [
        LossCheck("student's mode", WRONG if mode else OK, mode, "student-evaluation" if mode else ""),
        LossCheck("student can learn", verdict, grads, "student-frozen" if verdict == WRONG else ""),
    ]


def depends_on_mode(part: Module) -> bool:
    """Return True for a layer with different outputs in training and evaluation mode."""
    name = getattr(part, "original_name", type(part).__name__)  # torch.jit.script keeps the layer's name there
    return any(word in name for word in ("Dropout", "BatchNorm", "InstanceNorm", "DropPath"))
