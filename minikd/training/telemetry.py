"""What history.csv tells of the terms of a loss: how large each is, how hard it pulls, and whether two pull together.

Of a batch, each term times its weight: its loss, and the norm of its gradient, by the logits for "hard" and "soft" and
by the tapped output for "feature". Where there are both, the cosine between the hard and the soft gradient: 1 where
teacher and labels ask for the same, below 0 where they ask for opposites, 0 where one of them does not pull. Norms and
cosines come from sums of products over the batch's samples, so a batch that is computed in shards gives the same: the
shards' sums add up.

An epoch's number is the mean over the steps that were looked at. Looking changes nothing that is trained.
"""

import math
from collections.abc import Mapping, Sequence

from minikd.backends import module_of, to_host
from minikd.training.objective import Term
from minikd.typing import Floats, Scalar

NAMES = ("hard", "soft", "feature")
"""The terms that are told of."""

COLUMNS = (*(f"{name}_{what}" for name in NAMES for what in ("loss", "gradient")), "cosine")
"""The columns of history.csv; nan where an objective has no such term."""

Sums = dict[str, Scalar]


def sums_of(terms: Sequence[Term], share: float) -> Sums:
    """Return what a shard, `share` of its batch, adds to the batch's losses, squares and products, on its device."""
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
    # A shard may lack a term that others have: one without a single label has no hard term.
    values = [sum(shard[name] for shard in shards if name in shard) for name in names]
    xp = module_of(values[0])
    on_host: Floats = to_host(xp.stack(values))  # off a device in one copy
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
    """Return every column's mean over the steps that were looked at, nan where there was no such term."""
    return {name: total[name] / total["looks"] if name in total else math.nan for name in COLUMNS}
