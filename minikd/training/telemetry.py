"""The columns of history.csv about the loss terms: their values, their gradient norms, and a cosine of two gradients.

For a batch, each term is multiplied by its weight. Its loss and the norm of its gradient are recorded. The gradient is
with respect to the logits for "hard" and "soft", and to the tapped output for "feature". If there are hard and soft
terms, the cosine between their gradients is recorded: it is 1 if teacher and labels agree, below 0 if they are opposed,
and 0 if one gradient is 0. Norms and cosines are computed from sums of products over the batch's samples, so shards
give the same: their sums are added.

The number of an epoch is the mean over its measured steps. Measuring does not change the training.
"""

import math
from collections.abc import Mapping, Sequence

from minikd.backends import module_of, to_host
from minikd.training.objective import Term
from minikd.typing import Floats, Scalar

NAMES = ("hard", "soft", "feature")
"""The terms that are recorded."""

COLUMNS = (*(f"{name}_{what}" for name in NAMES for what in ("loss", "gradient")), "cosine")
"""The columns of history.csv. They are nan if an objective has no such term."""

Sums = dict[str, Scalar]


def sums_of(terms: Sequence[Term], share: float) -> Sums:
    """Return a shard's part of the batch's losses, squares and products, on its device.

    `share`: its fraction of the batch.
    """
    found: Sums = {}
    terms = [part for term in terms for part in (term.parts() if term.parts else (term,))]
    for term in terms:
        if term.name in NAMES:
            weight = term.weight * share
            gradients = [*term.dtaps.values()] if term.dlogits is None else [term.dlogits]
            found[f"{term.name}_loss"] = weight * term.loss
            found[f"{term.name}_square"] = weight * weight * sum((g * g).sum() for g in gradients)
    by_name = {term.name: term for term in terms}
    if {"hard", "soft"} <= by_name.keys():
        hard, soft = by_name["hard"], by_name["soft"]
        if hard.dlogits is not None and soft.dlogits is not None:
            found["product"] = hard.weight * soft.weight * share * share * (hard.dlogits * soft.dlogits).sum()
    return found


def add_to(total: dict[str, float], shards: Sequence[Sums]) -> None:
    """Add a step's numbers, from its shards' sums, to the totals of the epoch."""
    names = list(dict.fromkeys(name for shard in shards for name in shard))
    if not names:
        return
    # A shard may lack a term that others have: without any label, it has no hard term.
    values = [sum(shard[name] for shard in shards if name in shard) for name in names]
    xp = module_of(values[0])
    on_host: Floats = to_host(xp.stack(values))  # one copy from a device
    for name, value in _columns(dict(zip(names, on_host.tolist(), strict=True))).items():
        total[name] = total.get(name, 0.0) + value
    total["looks"] = total.get("looks", 0.0) + 1


def _columns(sums: Mapping[str, float]) -> dict[str, float]:
    """Return a batch's columns from its sums."""
    found = {name: value for name, value in sums.items() if name.endswith("_loss")}
    found |= {f"{name[:-7]}_gradient": math.sqrt(value) for name, value in sums.items() if name.endswith("_square")}
    if "product" in sums:
        lengths = found["hard_gradient"] * found["soft_gradient"]
        found["cosine"] = sums["product"] / lengths if lengths else 0.0
    return found


def means(total: Mapping[str, float]) -> dict[str, float]:
    """Return every column's mean over the measured steps, or nan if there was no such term."""
    return {name: total[name] / total["looks"] if name in total else math.nan for name in COLUMNS}
