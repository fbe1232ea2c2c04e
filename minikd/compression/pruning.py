"""Pruning by magnitude: during training, the smallest weights are set to 0, few at first, then more.

The pruned fraction at step t grows along a cubic curve, from 0 at step `begin` to `final` at step `end` (Zhu & Gupta
2017, To prune or not to prune, eq. 1):

    fraction(t) = final · (1 - (1 - (t - begin) / (end - begin))³)

It is steep at first, when many weights are useless, and flat at the end. After `end`, the other weights are trained
further. A pruned weight is multiplied by 0, y = w · mask, so its gradient is 0 too: dw = dy · mask. It stays pruned.
"""

from minikd.backends import module_of
from minikd.typing import Floats

BEGIN, END = 0.1, 0.7
"""When pruning begins and ends, as fractions of all steps."""

EVERY = 50
"""Steps between two prunings."""


def fraction_out(progress: float, final: float) -> float:
    """Return the pruned fraction of the weights. `progress` is 0 at the first step and 1 at the last."""
    done = min(1.0, max(0.0, (progress - BEGIN) / (END - BEGIN)))
    return final * (1 - (1 - done) ** 3)


def smallest_out(weight: Floats, fraction: float) -> Floats:
    """Return a mask of the weight's shape and dtype: 0 for this fraction of the weights, the smallest, else 1."""
    xp = module_of(weight)
    count = round(fraction * weight.size)
    mask: Floats = xp.ones(weight.size, weight.dtype)
    if count:
        mask[xp.argsort(xp.abs(weight).ravel(), kind="stable")[:count]] = 0
    return mask.reshape(weight.shape)
