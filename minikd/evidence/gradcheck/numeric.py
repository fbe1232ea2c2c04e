"""Derivatives by finite differences, and the inputs and directions that make them trustworthy.

A difference quotient uses only the forward pass, so a wrong backward pass cannot change it. In float64 it is accurate
to about ten digits if the function is smooth. Across a kink (a ReLU at 0, a tie in a pooling window) it is useless. So
inputs are drawn without ties, and the step becomes smaller at a kink. Directions have no small component, because a
small one would hide a wrong element.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from minikd.backends import module_of
from minikd.memory import require
from minikd.typing import Floats, Shape

NamedArrays = Mapping[str, Floats]
"""Named arrays: the inputs and parameters of a function, or their gradients."""

STEP = 1e-4
"""The first step along a direction of length 1."""

ELEMENT_STEP = 1e-5
"""The step of one element in full finite differences. It is near the cube root of float64's precision, where the error
of the quotient (step²) and the error of the subtraction (precision / step) are equally large."""

CHECKING = 8 * 8
"""Bytes that each value of the input takes during a check: float64 in about eight arrays (the input, a direction, the
input moved along it, the copy for the code under test, another copy in Fortran's order, and three gradients)."""


@dataclass(frozen=True)
class Slope:
    """A derivative along a line: its value, the difference between the quotients of two steps, and the step."""

    value: float
    doubt: float
    step: float


def tie_free(shape: Shape, rng: np.random.Generator, spread: float = 2.0) -> Floats:
    """Return float64 values in shuffled order, between -spread and spread. No two are equal, and none is near 0.

    Of n values, neighbours are at least 1.5·spread/n apart, and all are at least spread/(4n) away from 0. This is far
    more than a finite-difference step, so no maximum moves to another element and no ReLU switches. (The idea is
    Chainer's `shuffled_linspace`. The jitter also keeps sums and means of the values free of ties.)

    Raises SizeError if a function has too many values to check in this memory.
    """
    n = math.prod(shape)
    require(CHECKING * n, f"checking an input of {' x '.join(map(str, shape))} values", "use a smaller --shape")
    gap = 2 * spread / max(n, 1)
    places = np.arange(n) - (n - 1) // 2 - 0.25 + rng.uniform(-0.125, 0.125, n)
    return rng.permutation(places * gap).reshape(shape)


def cast_like(constant: Floats, x: Floats) -> Floats:
    """Return a constant of a function in the dtype and on the device of x."""
    moved: Floats = module_of(x).asarray(constant.astype(x.dtype))
    return moved


def random_direction(arrays: NamedArrays, rng: np.random.Generator) -> dict[str, Floats]:
    """Return one direction of norm 1 over all arrays together. Each component is ± (0.5 to 1.5) before scaling.

    A component near zero would hide a wrong element of the gradient.
    """
    d = {name: rng.choice([-1.0, 1.0], a.shape) * rng.uniform(0.5, 1.5, a.shape) for name, a in arrays.items()}
    length = math.sqrt(sum(float((a * a).sum()) for a in d.values()))
    return {name: a / length for name, a in d.items()}


def moved_along(arrays: NamedArrays, direction: NamedArrays, t: float) -> dict[str, Floats]:
    """Return arrays + t·direction, for the arrays that the direction has."""
    return {name: a + t * direction[name] if name in direction else a for name, a in arrays.items()}


def slope(f: Callable[[float], float], step: float = STEP, doubt: float = 0.0, shrinkings: int = 3) -> Slope:
    """Return f'(0) from central differences with `step` and `step`/2, extrapolated to step 0 (Richardson).

    If the two disagree by more than `doubt`, there may be a kink within the step. Then the step is made ten times
    smaller, at most `shrinkings` times, and the value with the smallest disagreement is returned.
    """
    best = Slope(float("nan"), float("inf"), step)
    for _ in range(shrinkings + 1):
        wide = (f(step) - f(-step)) / (2 * step)
        narrow = (f(step / 2) - f(-step / 2)) / step
        found = Slope((4 * narrow - wide) / 3, abs(narrow - wide), step)
        if found.doubt < best.doubt:
            best = found
        if best.doubt <= doubt:
            break
        step /= 10
    return best


def jacobian_row(
    forward: Callable[[NamedArrays], Floats], arrays: NamedArrays, name: str, index: int, step: float
) -> Floats:
    """Return dy/da for the element at flat position `index` of the array `name`: one value for each output."""
    plus, minus = arrays[name].copy(), arrays[name].copy()
    plus.flat[index] += step
    minus.flat[index] -= step
    row: Floats = (forward({**arrays, name: plus}) - forward({**arrays, name: minus})) / (2 * step)
    return row.ravel()


def jacobian(
    forward: Callable[[NamedArrays], Floats], arrays: NamedArrays, name: str, step: float = ELEMENT_STEP
) -> Floats:
    """Return the full Jacobian by central differences, (elements of the array, elements of y)."""
    rows = [jacobian_row(forward, arrays, name, index, step) for index in range(arrays[name].size)]
    return np.stack(rows)
