"""Turns outcomes into rows: combines the seeds of each cell name, and compares them with baselines and teacher."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from minikd.evidence.experiments.cell import Cell, Measured, Outcomes, key_of
from minikd.evidence.experiments.statistics import interval, mcnemar_summed
from minikd.machine import Machine


class Versus(TypedDict):
    """The comparison of a row with another one, over the seeds that both have.

    difference: the mean over seeds of our errors minus theirs; `half` is half of its 95 % interval, None for one seed.
    only_ours, only_theirs: the number of images that only one gets wrong, summed over seeds; p is from McNemar's exact
    test of these.
    """

    row: str
    difference: float
    half: float | None
    only_ours: int
    only_theirs: int
    p: float


class ResultRow(TypedDict):
    """A row of the table: means over seeds. `half` is half the 95 % interval of the errors, None for one seed.

    validation: errors on the held-out images, as a fraction.
    agreement: with the teacher of the seed, or with each of several that teach together; None if there is none.
    versus: the comparison with each baseline that the seeds share.
    parts: the means of other counts.
    """

    name: str
    role: str
    seeds: int
    errors: list[int]
    mean: float
    half: float | None
    validation: float
    agreement: float | None
    nll: float
    ece: float
    parameters: int
    seconds: float
    versus: list[Versus | None]
    parts: dict[str, float]


class PublishedComparison(TypedDict):
    """A published number and ours, the mean over seeds; None if ours failed."""

    what: str
    ours: float | None
    published: str


class ExperimentReport(TypedDict):
    """The contents of results.json: the rows, and the reasons of failed cells by key.

    `against` names the baselines' columns.
    """

    experiment: str
    preset: str
    seeds: int
    against: list[str]
    rows: list[ResultRow]
    beside: list[PublishedComparison]
    failed: dict[str, str]
    seconds: float
    machine: Machine
    versions: dict[str, str]


def rows_of(cells: Sequence[Cell], outcomes: Outcomes) -> list[ResultRow]:
    """Return a row for each name among the cells, in their order, without candidates and failed cells."""
    by_name: dict[str, list[Cell]] = {}
    for cell in cells:
        if not cell.candidate and cell.key in outcomes:
            by_name.setdefault(cell.name, []).append(cell)
    return [row_of(name, found, outcomes) for name, found in by_name.items()]


def row_of(name: str, cells: Sequence[Cell], outcomes: Outcomes) -> ResultRow:
    """Return the row of the cells of one name."""
    ours = [outcomes[cell.key] for cell in cells]
    measured = [test_of(cell.key, outcomes) for cell in cells]
    tests = [one for one in measured if one is not None]
    errors = interval([test["errors"] for test in tests])
    return ResultRow(
        name=name,
        role=cells[0].role,
        seeds=len(cells),
        errors=[test["errors"] for test in tests],
        mean=errors.mean,
        half=errors.half,
        validation=mean([one["validation"] for one in ours]),
        agreement=agreement(cells, outcomes),
        nll=mean([test["nll"] for test in tests]),
        ece=mean([test["ece"] for test in tests]),
        parameters=ours[0]["parameters"],
        seconds=mean([one["seconds"] for one in ours]),
        versus=[versus(cells, other, outcomes) if other else None for other in cells[0].against],
        parts={part: mean([one["parts"][part] for one in ours]) for part in ours[0]["parts"]},
    )


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return interval(values).mean


def test_of(key: str, outcomes: Outcomes) -> Measured | None:
    """Return a cell's results on the test images; None if it failed or was only a candidate."""
    found = outcomes.get(key)
    return found["test"] if found else None


def versus(cells: Sequence[Cell], other: str, outcomes: Outcomes) -> Versus | None:
    """Return the comparison of a row with another one; None if they share no seed."""
    pairs = []
    for cell in cells:
        ours, theirs = test_of(cell.key, outcomes), test_of(key_of(other, cell.seed), outcomes)
        if ours and theirs:
            pairs.append((ours["wrong"], theirs["wrong"]))
    if not pairs:
        return None
    found = mcnemar_summed(pairs)
    apart = interval([len(ours) - len(theirs) for ours, theirs in pairs])
    return Versus(
        row=other,
        difference=apart.mean,
        half=apart.half,
        only_ours=found.only_a_wrong,
        only_theirs=found.only_b_wrong,
        p=found.p,
    )


def agreement(cells: Sequence[Cell], outcomes: Outcomes) -> float | None:
    """Return the mean fraction of test images on which a row and its teacher, or each teacher, agree."""
    found = []
    for cell in cells:
        for key in cell.taught_by:
            ours, theirs = test_of(cell.key, outcomes), test_of(key, outcomes)
            if ours and theirs:
                found.append(float(np.mean(np.array(ours["predictions"]) == np.array(theirs["predictions"]))))
    return mean(found) if found else None
