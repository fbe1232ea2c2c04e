"""What every method of distillation is: its settings, what it needs, and the objective that it makes of a pair.

A method is a frozen dataclass. Its fields are its settings, with the paper's defaults. It says what it needs of the
networks at hand (`refusal`), and returns what the student is trained to do (`objective`). To get the teacher's answers
it asks for them, and says which hidden layers it wants beside the logits; a method that never asks needs no teacher.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from minikd.data import Batch
from minikd.nn import Sequential
from minikd.nn.container import NO_TAPS, Taps
from minikd.settings import Section
from minikd.training.objective import Objective
from minikd.typing import Floats, Shape


class Answer(NamedTuple):
    """What a teacher says of a batch: its logits (N, K), and the outputs of the layers that were asked for."""

    logits: Floats
    taps: Taps = NO_TAPS


Teacher = Callable[[Batch], Answer]
"""A batch of normalised images on the device -> the teacher's answer, in evaluation mode."""

Ask = Callable[[tuple[str, ...], float], Teacher]
"""(layers, temperature) -> the teacher, for these layers' outputs too; several teachers are one at that temperature."""


class Pair(NamedTuple):
    """What is at hand: who learns, who teaches, one or several, an image's shape, whether all images have labels."""

    student: Sequential
    teachers: Sequence[Sequential]
    image: Shape
    labelled: bool = True


@dataclass(frozen=True)
class Method(Section, ABC):
    """The base of every method."""

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("labels", "teacher's logits")
    """Of "labels" (one for each image), "teacher's logits", "features" and "maps" (hidden layers of both networks)."""

    @property
    def temperature(self) -> float:
        """The temperature at which the teacher's probabilities are looked at; a method may have it as a setting."""
        return 1.0

    def refusal(self, pair: Pair) -> str:
        """Return why the method cannot be used on these networks; "" where it can."""
        return ""

    @abstractmethod
    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        """Return what the student is trained to do; `rng` draws the first values of what is trained beside it."""
