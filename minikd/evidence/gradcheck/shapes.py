"""Explains a gradient of the wrong shape: a missing sum, a sum over the wrong axis, or a transposition."""

from collections.abc import Mapping
from itertools import combinations, permutations

from minikd.typing import Shape


def wrong_shape(gradient: str, name: str, found: Shape, shapes: Mapping[str, Shape], samples: int) -> str:
    """Say that a gradient does not have its array's shape, and how to fix it.

    `shapes` are the shapes of all arrays that have a gradient; `samples` is the batch size.
    """
    wanted = shapes[name]
    others = [f"{other}'s shape; is the order right?" for other, shape in shapes.items() if shape == found]
    remedy = f": that is {others[0]}" if others else _remedy(found, wanted, samples)
    return f"{gradient} has shape {found}, but {name} has shape {wanted}{remedy}"


def _remedy(found: Shape, wanted: Shape, samples: int) -> str:
    axes = _axes_to_sum(found, wanted)
    if axes is not None:
        where = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
        return (
            f": sum it over {where}. What forward broadcasts (one value used in many places), "
            "backward sums (one gradient from each place), if the numbers are those"
        )
    if len(wanted) == 1 and found == (samples,):
        return ": one number for each sample, so the wrong axis was summed over; sum over axis 0, the samples"
    if len(found) == len(wanted) and sorted(found) == sorted(wanted):
        order = next(p for p in permutations(range(len(found))) if tuple(found[i] for i in p) == wanted)
        return f": the axes are in another order; transpose(*{order}) would fit, if the numbers do"
    if _size(found) == _size(wanted):
        return ": the elements are as many; a reshape at the end is missing"
    if found == () or _size(found) == 1:
        return ": it was summed over everything"
    if _axes_to_sum(wanted, found) is not None:
        return ": it was summed (or averaged) over too many axes"
    return ": each element of the array needs a gradient of its own"


def _axes_to_sum(found: Shape, wanted: Shape) -> tuple[int, ...] | None:
    """Return the axes whose removal turns the shape `found` into `wanted`."""
    extra = len(found) - len(wanted)
    if extra <= 0:
        return None
    for axes in combinations(range(len(found)), extra):
        if tuple(length for i, length in enumerate(found) if i not in axes) == wanted:
            return axes
    return None


def _size(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
