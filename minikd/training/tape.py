"""A tape: the random numbers of all steps of an epoch. The host draws them, and they are stored on the device.

A step that is a graph cannot use a random generator. So the draws of the first step are recorded, with their shapes.
Every other step with as many samples makes the same draws, from its own generator. So all draws can be made before the
steps. The numbers are those of the steps' generators, so no bit changes.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import numpy as np

from minikd.backends import device_kernels, module_of
from minikd.errors import ConfigError
from minikd.typing import Array, Ints

MOST = 2**30
"""The most bytes of an epoch's tape."""

WATCHED = ("random", "standard_normal")
"""The methods of a generator that a tape supports."""


class Draw(NamedTuple):
    """One draw of a step: the generator's method, and its arguments."""

    method: str
    args: tuple[object, ...]
    kwargs: tuple[tuple[str, object], ...]

    def of(self, rng: np.random.Generator) -> Array:
        """Return what a generator draws."""
        drawn: Array = getattr(rng, self.method)(*self.args, **dict(self.kwargs))
        return drawn


class TapeGenerator(np.random.Generator):
    """Replaces a step's generator: passes on each draw that a tape supports, and refuses others."""

    def __init__(self, answer: Callable[[Draw], Array]) -> None:
        super().__init__(np.random.PCG64(0))
        self.answer = answer


def _watched(method: str) -> Callable[..., Array]:
    def drawn(self: TapeGenerator, *args: object, **kwargs: object) -> Array:
        return self.answer(Draw(method, args, tuple(kwargs.items())))

    return drawn


def _refused(method: str) -> Callable[..., Array]:
    def drawn(self: TapeGenerator, *args: object, **kwargs: object) -> Array:
        raise ConfigError(f"a step draws by {method}, which no CUDA graph can repeat; use random or standard_normal")

    return drawn


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in ("bit_generator", "spawn"):
        setattr(TapeGenerator, _name, (_watched if _name in WATCHED else _refused)(_name))


class Tape:
    """The draws of an epoch's steps with as many samples as the recorded step.

    `first` is the batch of the first step.
    """

    def __init__(self, counter: Ints, first: int) -> None:
        self.counter, self.first = counter, first
        self.draws: list[Draw] = []
        self.rows: list[Array] = []
        self.next = 0

    def watch(self, rng: np.random.Generator) -> np.random.Generator:
        """Return a replacement for the step's generator that records its draws."""
        self.draws = []

        def answer(draw: Draw) -> Array:
            self.draws.append(draw)
            return draw.of(rng)

        return TapeGenerator(answer)

    def fill(self, generators: Iterable[np.random.Generator]) -> None:
        """Draw the numbers for an epoch's steps, each with its own generator."""
        if not self.draws:
            return
        drawn = [[draw.of(rng) for draw in self.draws] for rng in generators]
        tapes = [np.stack(step) for step in zip(*drawn, strict=True)]
        xp = module_of(self.counter)
        if self.rows:
            for row, tape in zip(self.rows, tapes, strict=True):
                row[...] = xp.asarray(tape)
        else:
            self.rows = [xp.asarray(tape) for tape in tapes]

    def play(self) -> np.random.Generator:
        """Return a replacement for the step's generator that reads the draws from the device."""
        self.next = 0

        def answer(draw: Draw) -> Array:
            at = self.next
            if at >= len(self.draws) or self.draws[at] != draw:
                raise ConfigError(f"two steps with the same number of samples draw different numbers: {draw} is new")
            self.next += 1
            return cast(Array, device_kernels().draw(self.rows[at], self.counter, self.first))

        return TapeGenerator(answer)
