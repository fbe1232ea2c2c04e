"""The inputs of a diagnosis: one argument's gradient by hand, its numeric gradient, and the whole numeric Jacobian.

With the Jacobian, it takes only a matrix product to compute the gradient of a suspected mistake: for example with the
samples in the wrong order, with only the first sample, or with an upstream gradient of ones.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from minikd.evidence.gradcheck.numeric import NamedArrays
from minikd.evidence.gradcheck.report import gradient_name
from minikd.evidence.gradcheck.trial import FunctionUnderTest
from minikd.typing import Floats

MATCH = 1e-5
"""The largest difference, relative to the largest element, up to which a mistake counts as found."""


@dataclass(frozen=True)
class WrongGradient:
    """One argument whose gradient by hand is wrong.

    `jacobian` (elements of the argument, elements of y) is numeric. `arrays` is the point, `dy` the upstream gradient.
    `trial` runs the code under test again. `others` are the numeric gradients of the other arguments. `constants` are
    named numbers that may be a factor.
    """

    name: str
    by_hand: Floats
    numeric: Floats
    jacobian: Floats
    arrays: NamedArrays
    dy: Floats
    trial: FunctionUnderTest
    others: Mapping[str, Floats]
    constants: Mapping[str, float]

    @property
    def gradient(self) -> str:
        """The gradient's name: dx, dweight."""
        return gradient_name(self.name)

    @property
    def value(self) -> Floats:
        """The argument itself."""
        return self.arrays[self.name]

    @property
    def input(self) -> str:
        """The name of the first array, which holds the batch."""
        return next(iter(self.arrays))

    @property
    def same_shape(self) -> bool:
        """True if y has the argument's shape, as for an elementwise layer."""
        return self.dy.shape == self.value.shape

    def matches(self, suspicion: Floats) -> bool:
        """True if the gradient by hand equals `suspicion`, and `suspicion` is not zero."""
        return same(self.by_hand, suspicion) and bool(np.abs(suspicion).max(initial=0) > 0)

    def gradient_for(self, dy: Floats) -> Floats:
        """Return the numeric gradient for another upstream gradient."""
        return (self.jacobian @ dy.ravel()).reshape(self.value.shape)

    def lengths(self) -> Iterator[tuple[str, float, str]]:
        """Yield the numbers by which gradients are often wrongly multiplied or divided: symbol, value and meaning."""
        for symbol, value in self.constants.items():
            yield symbol, value, ""
        x = self.arrays[self.input]
        if x.ndim > 1:
            yield "N", x.shape[0], "the batch size"
            yield ("C", x.shape[1], "the channels") if x.ndim == 4 else ("K", x.shape[-1], "the length of a row")
            yield "N·K" if x.ndim == 2 else "the size of x", x.size, "all elements of the input"
        if self.dy.ndim == 4:
            pixels = math.prod(self.dy.shape[2:])
            yield "P·Q", pixels, "the output pixels"
            yield "N·P·Q", self.dy.shape[0] * pixels, "the output pixels of the batch"
        if self.dy.ndim > 1:
            yield "the size of dy", self.dy.size, "all elements of the output"
        if self.value.ndim == 4 and self.name != self.input:
            yield "R·S", math.prod(self.value.shape[2:]), "the places of the kernel"


def same(one: Floats, other: Floats) -> bool:
    """True if two arrays agree within the precision of finite differences."""
    if one.shape != other.shape:
        return False
    scale = max(float(np.abs(one).max(initial=0)), float(np.abs(other).max(initial=0)), 1e-300)
    return bool(np.abs(one - other).max(initial=0) <= MATCH * scale)
