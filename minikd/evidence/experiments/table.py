"""The table of an experiment, and the list of all experiments, for a terminal."""

from collections.abc import Iterable

from minikd.console import units
from minikd.console.layout import aligned, paragraph
from minikd.evidence.experiments.experiment import Experiment
from minikd.evidence.experiments.rows import ExperimentReport, ResultRow, Versus

COSTS = ("bytes", "working bytes", "multiply-adds")
"""The costs of a student on a device, by the names of an experiment's `parts`."""


def text(report: ExperimentReport) -> str:
    """Return the rows as an aligned table, with the meaning of its columns and the cells that failed."""
    against = report["against"]
    first = ("", "test", "", "agree-", "", "ECE", "", *("against" for _ in against))
    second = ("", "errors", "± 95 %", "ment %", "NLL", "%", "seconds", *against)
    lines = [aligned((first, second), [cells(row, report) for row in report["rows"]])]
    lines += ["", paragraph(meaning(report))]
    if sized := [row for row in report["rows"] if "bytes" in row["parts"]]:
        lines += ["", sizes(sized)]
    if report["beside"]:
        beside = [(one["what"], number(one["ours"]), one["published"] or "–") for one in report["beside"]]
        lines += ["", aligned((("", "ours", "published"),), beside)]
    for key, reason in report["failed"].items():
        lines += ["", paragraph(f"{key} failed: {reason}")]
    return "\n".join(lines)


def sizes(rows: Iterable[ResultRow]) -> str:
    """Return the costs of each student in C, the smallest first."""
    header = (("", "test", "bytes of", "of working", "multiply-"), ("", "errors", "constants", "memory", "adds"))
    return aligned(
        header,
        [
            (row["name"], number(row["mean"]), *(f"{row['parts'][part]:,.0f}" for part in COSTS))
            for row in sorted(rows, key=lambda row: row["parts"]["bytes"])
        ],
    )


def number(value: float | None) -> str:
    """Return a mean, or a dash."""
    return "–" if value is None else f"{value:,.1f}"


def meaning(report: ExperimentReport) -> str:
    """Return what the columns mean."""
    words = (
        f"All numbers are means over {report['seeds']} seeds. ± is half of the 95 % interval of the test errors "
        "(Student's t). Agreement is with the teacher of the same seed (with several teachers, with each of them). "
        "Seconds are those of one training."
    )
    if report["against"]:
        words += (
            " Against: the difference in errors from the other row, seed by seed, as a mean ± half of its 95 % "
            "interval. The stars are McNemar's exact test on the images that only one of the two gets wrong, summed "
            "over seeds: * p < 0.05, ** p < 0.001. It counts an image once for each seed, and is not corrected for "
            "the number of rows."
        )
    return words


def cells(row: ResultRow, report: ExperimentReport) -> tuple[str, ...]:
    """Return a row's numbers as text. If it has fewer seeds than the others, its name says so."""
    beside = [comparison_text(one) for one in row["versus"]]
    fewer = f" ({row['seeds']} of {report['seeds']} seeds)" if row["seeds"] < report["seeds"] else ""
    return (
        row["name"] + fewer,
        number(row["mean"]),
        number(row["half"]),
        "–" if row["agreement"] is None else units.percent(row["agreement"]),
        f"{row['nll']:.4f}",
        units.percent(row["ece"]),
        f"{row['seconds']:,.0f}",
        *(beside + ["–"] * (len(report["against"]) - len(beside))),
    )


def comparison_text(one: Versus | None) -> str:
    """Return the comparison of a row with another one: the difference of errors, and whether it may be by chance."""
    if one is None:
        return "–"
    stars = "**" if one["p"] < 0.001 else "*" if one["p"] < 0.05 else ""
    half = "" if one["half"] is None else f" ±{one['half']:6,.1f}"
    return f"{one['difference']:+,.1f}{half} {stars:2}"


def listing(experiments: Iterable[Experiment]) -> str:
    """Return every experiment with its summary, the minutes of its presets and what it compares."""
    lines = []
    for one in experiments:
        times = ", ".join(f"{name} {about(size.minutes)}" for name, size in one.sizes.items())
        lines += [paragraph(f"{one.name}: {one.summary}", hanging=4), paragraph(f"compares {one.compares}", 4)]
        lines += [paragraph(times, 4), ""]
    return "\n".join([*lines, paragraph("Approximate times on two cores with five seeds, for each --preset.")])


def listed(experiments: Iterable[Experiment]) -> list[dict[str, object]]:
    """Return every experiment as values for JSON."""
    return [
        {
            "name": one.name,
            "summary": one.summary,
            "compares": one.compares,
            "minutes": {name: size.minutes for name, size in one.sizes.items()},
        }
        for one in experiments
    ]


def about(minutes: float) -> str:
    """Return an estimate: 20 min, 2.5 h."""
    return f"{minutes:g} min" if minutes < 100 else f"{minutes / 60:.2g} h"
