"""What a gradient of the wrong shape gives away: a sum that was forgotten, an axis too few, a transposition."""

from itertools import combinations, permutations

from minikd.typing import Shape


def wrong_shape(gradient: str, name: str, found: Shape, wanted: Shape) -> str:
    """Say that a gradient has not its array's shape, and what would mend it."""
    return f"{gradient} has shape {found}, but {name} has shape {wanted}{_remedy(found, wanted)}"


def _remedy(found: Shape, wanted: Shape) -> str:
    axes = _axes_to_sum(found, wanted)
    if axes is not None:
        where = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
        return (
            f": sum it over {where}. What forward broadcasts (one value used in many places), "
            "backward sums (one gradient from each place)"
        )
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
    """Return the axes of `found` without which it is `wanted`."""
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
