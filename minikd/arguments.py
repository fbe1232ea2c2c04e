"""Checks the arguments of the Python API before anything runs."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from minikd.backends import module_of
from minikd.data import Augmentation, Dataset
from minikd.errors import ConfigError, DtypeError
from minikd.nn import Sequential
from minikd.nn.arrays import overlap
from minikd.training import Callback, Plan


def kind_of(value: object) -> str:
    """Describe a value in words."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"


def expect_model(model: object, who: str) -> None:
    """Refuse anything but a model, and a model in another dtype than float32 or float64.

    Raises ConfigError and DtypeError.
    """
    if not isinstance(model, Sequential):
        loaded = "; load_model returns a model and its card: give the first" if isinstance(model, tuple) else ""
        raise ConfigError(f"{who} is {kind_of(model)}, but must be a minikd.nn.Sequential{loaded}")
    if model.vector.dtype not in (np.float32, np.float64):
        raise DtypeError(
            f"{who} holds {model.vector.dtype}, but must hold float32 or float64; use model.astype('float32')"
        )
    if not isinstance(model.class_names, tuple | list) or not all(isinstance(name, str) for name in model.class_names):
        raise ConfigError(
            f"{who} has the class_names {model.class_names!r}, but they must be a tuple of texts; () for none"
        )


def check_trainable(model: Sequential, who: str) -> None:
    """Refuse a model without parameters."""
    if not model.size:
        raise ConfigError(f"{who} has no parameters, so there is nothing to train; give it a layer such as nn.Linear")
    if module_of(model.vector) is np and not model.vector.flags.writeable:
        raise ConfigError(f"{who} has a read-only vector, so it cannot be trained; train a copy: model.copy()")


def expect_data(data: object) -> None:
    """Refuse anything but a data set."""
    if not isinstance(data, Dataset):
        raise ConfigError(
            f"data is {kind_of(data)}, but must be a minikd.Dataset: minikd.load_dataset('mnist'), or a path"
        )


def path_of(path: object) -> Path:
    """Return the path of a file to write.

    Raises ConfigError for anything but a path, and for a path without a file name.
    """
    if not isinstance(path, str | PathLike):
        raise ConfigError(f"path is {kind_of(path)}, but must be the path of a file, such as 'student.safetensors'")
    found = Path(path)
    if not found.name or "\0" in str(found) or found.is_dir():
        raise ConfigError(f"path is {str(path)!r}, but must be that of a file, such as 'student.safetensors'")
    return found


def check_choices(plan: object, augmentation: object, callbacks: object) -> None:
    """Refuse a plan, an augmentation or callbacks of a wrong type."""
    if plan is not None and not isinstance(plan, Plan):
        raise ConfigError(f"plan is {kind_of(plan)}, but must be a minikd.Plan, such as minikd.Plan(epochs=3)")
    if augmentation is not None and not isinstance(augmentation, Augmentation):
        raise ConfigError(
            f"augmentation is {kind_of(augmentation)}, but must be a minikd.Augmentation, such as "
            "minikd.Augmentation(shift=2)"
        )
    if callbacks == "auto":
        return
    if not isinstance(callbacks, list | tuple):
        raise ConfigError(
            f"callbacks is {kind_of(callbacks)}, but must be a list of callbacks, such as [minikd.Bars()]; [] is silent"
        )
    for number, one in enumerate(callbacks):
        if not isinstance(one, Callback):
            raise ConfigError(
                f"callbacks[{number}] is {kind_of(one)}, but must be a minikd.training.Callback, such as minikd.Bars()"
            )


def teachers_of(teacher: object, student: Sequential) -> list[Sequential]:
    """Return the teachers in a list: of one model, or of any collection of them.

    Raises ConfigError if there is none, or if one is the student itself, and DtypeError if one has another dtype or
    device than the student.
    """
    if isinstance(teacher, Sequential):
        found: list[object] = [teacher]
    elif hasattr(teacher, "__iter__") and not isinstance(teacher, str | dict):
        found = list(teacher)
    else:
        raise ConfigError(f"teacher is {kind_of(teacher)}, but must be a minikd.nn.Sequential, or a list of them")
    if not found:
        raise ConfigError("teacher is empty, so there is no teacher; give a model, or use minikd.train")
    return [checked_teacher(one, student, named(number, found)) for number, one in enumerate(found)]


def named(number: int, all_: Sequence[object]) -> str:
    """Return a teacher's name in messages."""
    return "teacher" if len(all_) == 1 else f"teacher[{number}]"


def checked_teacher(teacher: object, student: Sequential, who: str) -> Sequential:
    """Return the teacher after a check that it fits this student."""
    expect_model(teacher, who)
    assert isinstance(teacher, Sequential)
    ours, theirs = (module_of(model.vector).__name__ for model in (student, teacher))
    if ours != theirs:
        raise DtypeError(f"{who} has {theirs} arrays, but the student has {ours} arrays; move one: teacher.to(backend)")
    if overlap(teacher.vector, student.vector):
        what = "is the student itself" if teacher is student else "holds the student's layers, or the student its"
        raise ConfigError(f"{who} {what}, which changes as it learns; give a copy: teacher.copy()")
    if teacher.vector.dtype != student.vector.dtype:
        raise DtypeError(
            f"{who} is {teacher.vector.dtype}, but the student {student.vector.dtype}; convert one: "
            f"teacher.astype('{student.vector.dtype}')"
        )
    return teacher
