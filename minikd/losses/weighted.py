"""The weighted sum of the terms of a loss: of their values, or of their gradients with respect to one array.

L = Σ_i w_i L_i,   so   dz = Σ_i w_i dz_i
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TypeVar

from minikd.backends import kernels_of
from minikd.typing import Floats, Scalar

ValueT = TypeVar("ValueT", Floats, Scalar)


def weighted_sum(parts: Sequence[tuple[float, ValueT]]) -> ValueT:
    """Return Σ weight·value of (weight, value), one or more, all of one shape; a single value of weight 1 as it is.

    A value with weight 0 is left out, even if it is infinite.
    """
    parts = [part for part in parts if part[0] != 0] or parts[:1]
    (weight, value), *others = parts
    if not others and weight == 1.0:
        return value
    if len(others) == 1 and (kernels := kernels_of(value)):
        mixed: ValueT = kernels.mix(value, weight, others[0][1], others[0][0])
        return mixed
    total: ValueT = reduce(add, (weight * value for weight, value in parts))
    return total
