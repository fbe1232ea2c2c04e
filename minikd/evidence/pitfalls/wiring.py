"""A distillation in its parts, so that one of them can be swapped for a bug and all else stays as it was.

The defaults are the parts that minikd uses. A pitfall replaces one of them (`Pitfall.wrong`), names the circumstances
in which it bites, and the check that must find it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from minikd.data import Views
from minikd.distillation.teacher import answers
from minikd.losses import kl_divergence
from minikd.methods import TeacherAnswers
from minikd.nn import Sequential
from minikd.typing import Floats, Scalar

Soft = Callable[[Floats, Floats, float], tuple[Scalar, Floats]]
"""(student's logits, teacher's logits, T) -> the teacher's term, a mean over the batch, and its gradient."""

AskTeachers = Callable[[Sequence[Sequential], Views, float], TeacherAnswers]
"""(teachers, what the student sees, T) -> who answers for each batch; several teachers answer as one."""

Roles = tuple[Sequential, Sequence[Sequential]]
"""The network that is trained, and the networks that answer."""


def as_given(student: Sequential, teachers: Sequence[Sequential]) -> Roles:
    """Return who is trained and who is asked: the student, and the teachers."""
    return student, teachers


def as_built(student: Sequential) -> Sequential:
    """Return the student, whose mode is an argument of each pass: training in a step, evaluation elsewhere."""
    return student


def asked(teachers: Sequence[Sequential], views: Views, temperature: float) -> TeacherAnswers:
    """Return the teachers in evaluation mode: kept by sample number where views never change, else asked each time."""
    return answers(teachers, views, map, (), temperature)


@dataclass(frozen=True)
class Wiring:
    """The parts. soft: the teacher's term. bare: the same for images without a label, for which it is all there is."""

    soft: Soft = kl_divergence
    bare: Soft = kl_divergence
    ask: AskTeachers = asked
    student: Callable[[Sequential], Sequential] = as_built
    roles: Callable[[Sequential, Sequence[Sequential]], Roles] = as_given


RIGHT = Wiring()


@dataclass(frozen=True)
class Conditions:
    """Where a bug bites: dropout of the student, pixels that images are moved by, share of images with a label."""

    dropout: float = 0.0
    shift: float = 0.0
    teachers: int = 1
    labelled: float = 1.0


@dataclass(frozen=True)
class Sighting:
    """A place where the bug was reported: a link, and the report in a few words."""

    link: str
    fact: str


@dataclass(frozen=True)
class Pitfall:
    """A known bug. wrong: the wiring that has it. caught_by: the name of the check in `checks.CHECKS` that finds it."""

    name: str
    group: str
    summary: str
    why: str
    harm: str
    wrong: Wiring
    caught_by: str
    seen: tuple[Sighting, ...]
    where: Conditions = field(default_factory=Conditions)
