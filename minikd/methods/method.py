"""The base class of all methods of distillation: settings, requirements, and the objective for a pair of networks.

A method is a frozen dataclass. Its fields are its settings, with the paper's defaults. `refusal` says why the method
cannot be used on a pair of networks. `objective` returns the objective of the student's training. If a method needs the
teacher's outputs, it calls `ask` with the hidden layers that it needs in addition to the logits. A method without
this call needs no teacher.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from minikd.nn import Sequential
from minikd.settings import Section
from minikd.training.objective import Objective, TeacherAnswers
from minikd.typing import Shape

Ask = Callable[[tuple[str, ...], float], TeacherAnswers]
"""(layers, temperature) -> the teacher's outputs, with those of these layers. Several teachers count as one."""


class Pair(NamedTuple):
    """The student, its teachers, the shape of an image, and whether all images have labels."""

    student: Sequential
    teachers: Sequence[Sequential]
    image: Shape
    labelled: bool = True


@dataclass(frozen=True)
class Method(Section, ABC):
    """The base of every method."""

    name: ClassVar[str]
    """The method's name. By default, it is the name of the class."""
    summary: ClassVar[str]
    """A summary of one line. By default, it is the first line of the class's docstring."""
    paper: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ("labels", "teacher's logits")
    """What the method needs: "labels" (of all images), "teacher's logits", "features", "maps" (of hidden layers)."""

    tries: ClassVar[Sequence[Mapping[str, float]]] = ()
    """Settings that `minikd experiment methods` tries in addition to the defaults."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        doc = (cls.__doc__ or cls.__name__).strip().splitlines()[0]
        for name, value in {"name": cls.__name__, "summary": doc.rstrip(".")}.items():
            if name not in vars(cls):
                setattr(cls, name, value)

    @property
    def temperature(self) -> float:
        """The temperature at which the report shows the teacher's probabilities. It may be a setting of the method."""
        return 1.0

    @property
    def eager(self) -> str:
        """Why its steps on a device cannot be captured as a graph, see `Objective.eager`, or "" if they can."""
        own = type(self).__module__.startswith("minikd.")
        return "" if own else "the method does not say that its steps can be captured"

    def refusal(self, pair: Pair) -> str:
        """Return why the method cannot be used on these networks, or "" if it can."""
        return ""

    @abstractmethod
    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        """Return the student's objective. `rng` draws the initial values of the extra parameters."""
