"""A distillation in parts, so that one part can be replaced by a bug while the others stay the same.

The defaults are the parts that minikd uses. A pitfall replaces one of them (`Pitfall.wrong`). It names the conditions
under which it has an effect, and the check that must find it.
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
"""(teachers, the student's views, T) -> the teachers' outputs for each batch, averaged over several teachers."""

Roles = tuple[Sequential, Sequence[Sequential]]
"""The network that is trained, and the networks that teach."""


def as_given(student: Sequential, teachers: Sequence[Sequential]) -> Roles:
    """Return the network to train and the networks that teach: the student, and the teachers."""
    return student, teachers


def as_built(student: Sequential) -> Sequential:
    """Return the student unchanged. Its mode is an argument of each pass: training in a step, evaluation elsewhere."""
    return student


def ask_teachers(teachers: Sequence[Sequential], views: Views, temperature: float) -> TeacherAnswers:
    """Return the teachers' outputs in evaluation mode: cached by sample number if views never change, else computed."""
    return answers(teachers, views, map, (), temperature)


@dataclass(frozen=True)
class Wiring:
    """The parts. soft: the teacher's term. bare: the same for images without a label, which have no other term."""

    soft: Soft = kl_divergence
    bare: Soft = kl_divergence
    ask: AskTeachers = ask_teachers
    student: Callable[[Sequential], Sequential] = as_built
    roles: Callable[[Sequential, Sequence[Sequential]], Roles] = as_given


RIGHT = Wiring()


@dataclass(frozen=True)
class Conditions:
    """When a bug has an effect: the student's dropout, the pixels by which images are moved, the share with labels."""

    dropout: float = 0.0
    shift: float = 0.0
    teachers: int = 1
    labelled: float = 1.0


@dataclass(frozen=True)
class Sighting:
    """A place where the bug was reported: a link, and a summary of the report."""

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
