"""A comparison as a row, the difference of two arrays, and the rows as a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from minikd.console.layout import aligned, paragraph
from minikd.evidence.differences import largest_difference
from minikd.typing import Floats

DTYPES = ("float64", "float32")

TIGHT = 1e-10
"""The bound for every comparison in float64."""


@dataclass(frozen=True)
class Comparison:
    """The difference between an array of minikd and PyTorch's. name: the layer, loss, ...; what: the array."""

    name: str
    what: str
    dtype: str
    difference: float
    bound: float

    @property
    def ok(self) -> bool:
        """True if the difference is within the bound; NaN never is."""
        return self.difference <= self.bound


def compare(
    name: str, dtype: str, ours: Mapping[str, Floats], theirs: Mapping[str, Floats], bound: float
) -> list[Comparison]:
    """Return a row for each array, by its name. If only one side has an array, the difference is infinite."""
    rows = []
    for what in [*ours, *(name for name in theirs if name not in ours)]:
        gap = difference(ours[what], theirs[what]) if what in ours and what in theirs else np.inf
        rows.append(Comparison(name, what, dtype, gap, bound))
    return rows


def difference(ours: Floats, theirs: Floats) -> float:
    """Return the largest difference between two arrays of one dtype; infinite for another dtype.

    If all elements of `theirs` are 0, those of `ours` must be 0 too.
    """
    if ours.dtype != theirs.dtype or (np.any(ours) and not np.any(theirs)):
        return float("inf")
    return largest_difference(ours, theirs)


def table(rows: Iterable[Comparison]) -> str:
    """Return the rows as text: a line for each name with its worst arrays, and below each array that failed."""
    rows = list(rows)
    names = {row.name: [other for other in rows if other.name == row.name] for row in rows}
    cells = [
        (name, str(len(group)), *(cell for dtype in DTYPES for cell in _worst(group, dtype)), _verdict(group))
        for name, group in names.items()
    ]
    over = ("beside PyTorch", "", *(cell for dtype in DTYPES for cell in (dtype, "")), "")
    header = over, ("", "arrays", *("worst", "bound") * len(DTYPES), "")
    failed = [row for row in rows if not row.ok]
    lines = [f"FAILED: {row.name}, {row.what}, {row.dtype}: {row.difference:.1e} > {row.bound:.0e}" for row in failed]
    lines.append(f"{len(rows) - len(failed)} of {len(rows)} arrays are within their bounds")
    lines.append("(largest difference of an array, relative to the largest value of PyTorch's array)")
    return "\n".join([aligned(header, cells, left=(len(header[0]) - 1,)), "", *map(paragraph, lines)])


def _verdict(group: Iterable[Comparison]) -> str:
    return "ok" if all(row.ok for row in group) else "FAILED"


def _worst(group: list[Comparison], dtype: str) -> tuple[str, str]:
    """Return the largest difference among the rows of a dtype, and its bound."""
    of_dtype = [row for row in group if row.dtype == dtype]
    if not of_dtype:
        return "–", "–"
    worst = max(of_dtype, key=lambda row: (not row.ok, row.difference))
    return f"{worst.difference:.1e}", f"{worst.bound:.0e}"
