"""Explains a wrong gradient: which common mistake it fits, or at least which elements are wrong."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from minikd.evidence.gradcheck import suspects
from minikd.evidence.gradcheck.evidence import WrongGradient, same
from minikd.evidence.gradcheck.trial import Stopped

SUSPECTS = (
    suspects.no_influence,
    suspects.all_zeros,
    suspects.sign,
    suspects.upstream_ignored,
    suspects.wrong_point,
    suspects.missing_array,
    suspects.passed_through,
    suspects.factor,
    suspects.another_argument,
    suspects.axes_swapped,
    suspects.flipped,
    suspects.batch_scrambled,
    suspects.some_samples,
    suspects.diagonal,
    suspects.statistics,
    suspects.kernel_not_flipped,
    suspects.shifted,
    suspects.misplaced_numbers,
    suspects.missing_influence,
)
"""The suspects, in the order in which they are tried. The first that fits is reported."""


def diagnose(evidence: WrongGradient) -> Iterator[str]:
    """Yield explanations of the wrong gradient, and hints about where else to look."""
    for suspect in SUSPECTS:
        try:
            text = suspect(evidence)
        except Stopped:
            continue
        if text is not None:
            yield text
            return
    yield from where_wrong(evidence)


def where_wrong(e: WrongGradient) -> Iterator[str]:
    """Yield the pattern of the wrong elements: a border, a sample, a channel, where x is negative."""
    wrong = np.abs(e.by_hand - e.numeric) > 1e-6 * max(float(np.abs(e.numeric).max()), float(np.abs(e.by_hand).max()))
    if wrong.all():
        yield "every element is wrong, and none of the usual mistakes explains it: check the formula, and each product"
        return
    place = _place(wrong) or _condition(wrong, e)
    if place is None:
        yield f"{wrong.sum()} of {wrong.size} elements are wrong, in no simple pattern; the others are right"
        return
    yield f"it is wrong {place}, and right elsewhere"
    if not np.any(e.by_hand[wrong]):
        yield "there it is 0 by hand: something masks it that should not, or it is never written"
    elif not np.any(np.abs(e.numeric[wrong]) > 1e-9):
        yield "there it should be 0: a mask is missing"
        if e.same_shape and same(e.by_hand[wrong], e.dy[wrong]):
            yield "there dy passes through unchanged"


def _place(wrong: npt.NDArray[np.bool_]) -> str | None:
    """Say along which axis the wrong elements lie, if one axis describes them completely."""
    for axis in range(wrong.ndim):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        full, some = wrong.all(others), wrong.any(others)
        if wrong.shape[axis] > 1 and np.array_equal(full, some) and not full.all():
            indices = [int(i) for i in np.flatnonzero(full)]
            return f"exactly where the index along axis {axis} is {', '.join(map(str, indices))}"
    if wrong.ndim == 4 and min(wrong.shape[2:]) > 2 and not wrong[..., 1:-1, 1:-1].any():
        return "only along the border of the image (look at the padding)"
    return None


def _condition(wrong: npt.NDArray[np.bool_], e: WrongGradient) -> str | None:
    """Say which condition on the values selects exactly the wrong elements."""
    zero = np.abs(e.numeric) <= 1e-9
    conditions = {
        f"where {e.name} is negative": e.value < 0,
        f"where {e.name} is positive": e.value > 0,
        "where the true gradient is 0 (where a mask, a maximum or a stride leaves nothing)": zero,
        "where the true gradient is not 0": ~zero,
    }
    for words, holds in conditions.items():
        if np.array_equal(wrong, holds):
            return f"exactly {words}"
    for words, holds in conditions.items():
        if not wrong[~holds].any() and not holds.all():
            return f"only {words}"
    return None
