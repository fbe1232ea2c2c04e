"""One aligned row for each claim, and the difference of two results."""

import sys
import textwrap
import unicodedata

import numpy as np

from minikd.console.layout import columns, styled
from minikd.console.terminal import before, encodable
from minikd.evidence.differences import largest_difference

VERDICT, SHOWN = 8, 14
"""Widths in columns: of a verdict (ok, caught, WRONG, to do, waits), and of the shown value, such as 0.006 to 2.302."""

LOOKS = {"ok": "green", "caught": "green", "WRONG": "red", "MISSED": "red"}
"""A verdict's colours."""


def row(claim: str, verdict: str, shown: str = "") -> str:
    """Return a claim as a row: ok      softmax rows sum to 1 ........ 1.1e-16. A long claim takes several lines.

    The verdict is first, so that a narrow screen shows it.
    """
    claim = encodable(claim, before(sys.stdout).encoding)  # its form in ASCII may be longer than its column
    width = columns() - VERDICT - SHOWN - 1
    *above, last = textwrap.wrap(claim, width - 4) or [""]
    marks = sum(bool(unicodedata.combining(letter)) for letter in last)  # the hat of x̂ takes no column
    beside = shown and len(shown) <= SHOWN
    dotted = f"{f'{last} '.ljust(width + marks, '.')} {shown}" if beside else last
    first, *rest = (*above, dotted) if beside or not shown else (*above, dotted, shown)
    told = f"{verdict:<{VERDICT}}"
    begin = styled(told, LOOKS[verdict]) if verdict in LOOKS else told
    return "\n".join([f"{begin}{first}", *(f"{'':{VERDICT}}{one}" for one in rest)])


def distance(got: object, want: object) -> float:
    """Return the largest relative difference of two results. A scalar `want` is compared with every element."""
    ours, theirs = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return largest_difference(ours, theirs if theirs.ndim else np.full(ours.shape, theirs))
