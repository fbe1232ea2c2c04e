"""A line of the benchmark's table as a value: medians, their spread, and the ratios of the medians."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from minikd.evidence.bench.timing import Times


class BenchRow(TypedDict):
    """One work. A value is None if there is nothing to compare with, or if the work has another unit.

    `minikd_ms`, `torch_default_ms`, `torch_best_ms` and `roofline_ms` are medians in milliseconds; `minikd_mb` and
    `torch_default_mb` are in millions of bytes. `ratio_default` and `ratio_best` are PyTorch's number divided by
    minikd's, so above 1 minikd is better. `best` names the fastest of PyTorch's configurations. `roofline_ms` is the
    time of the matrix products alone, and `ratio_roofline` is minikd's time divided by it. `target_default` and
    `target_best` are lower limits for these ratios, `target_roofline` is an upper limit. `all_ms` has the median of
    every side, `spread_ms` the quartiles of its bursts, `engines_ms` the medians of other engines, and `lacking` the
    reasons why engines cannot do this work. `numpy_ms` is minikd's time without compiled loops, if it uses any.
    `first_call_s` is the time of torch.compile's first call in seconds.
    """

    work: str
    title: str
    minikd_ms: float | None
    numpy_ms: float | None
    torch_default_ms: float | None
    torch_best_ms: float | None
    roofline_ms: float | None
    minikd_mb: float | None
    torch_default_mb: float | None
    best: str | None
    ratio_default: float | None
    ratio_best: float | None
    ratio_roofline: float | None
    target_default: float | None
    target_best: float | None
    target_roofline: float | None
    engines_ms: dict[str, float]
    lacking: dict[str, str]
    first_call_s: dict[str, float]
    all_ms: dict[str, float]
    spread_ms: dict[str, tuple[float, float]]
    repeats: int


EMPTY = BenchRow(
    work="",
    title="",
    minikd_ms=None,
    numpy_ms=None,
    torch_default_ms=None,
    torch_best_ms=None,
    roofline_ms=None,
    minikd_mb=None,
    torch_default_mb=None,
    best=None,
    ratio_default=None,
    ratio_best=None,
    ratio_roofline=None,
    target_default=None,
    target_best=None,
    target_roofline=None,
    engines_ms={},
    lacking={},
    first_call_s={},
    all_ms={},
    spread_ms={},
    repeats=1,
)


def timed_row(
    times: Mapping[str, Times], configurations: Sequence[str], engines: Sequence[str], roofline: str
) -> BenchRow:
    """Return the numbers of a work from the times of all sides.

    `configurations` are PyTorch's, with its defaults first.
    """
    medians = {name: found.median for name, found in times.items()}
    ours = medians["minikd"]
    best = min(configurations, key=lambda name: medians[name], default=None)
    default_ms = medians[configurations[0]] if configurations else None
    best_ms = medians[best] if best else None
    return {
        **EMPTY,
        "minikd_ms": ours,
        "numpy_ms": medians.get("minikd, NumPy alone"),
        "torch_default_ms": default_ms,
        "torch_best_ms": best_ms,
        "roofline_ms": medians.get(roofline),
        "best": best,
        "ratio_default": ratio(default_ms, ours),
        "ratio_best": ratio(best_ms, ours),
        "ratio_roofline": ratio(ours, medians.get(roofline)),
        "engines_ms": {name: medians[name] for name in engines},
        "all_ms": medians,
        "spread_ms": {name: found.quartiles for name, found in times.items()},
        "repeats": len(times["minikd"].bursts),
    }


def sized_row(ours: float, theirs: float | None) -> BenchRow:
    """Return the row of two numbers of bytes."""
    return {
        **EMPTY,
        "minikd_mb": ours / 1e6,
        "torch_default_mb": None if theirs is None else theirs / 1e6,
        "ratio_default": ratio(theirs, ours),
    }


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """Return the quotient; None if one of the numbers is missing."""
    return numerator / denominator if numerator is not None and denominator else None
