"""The tables that a run prints: the summary with its verdict, and the seed's experiment beside the published one."""

import textwrap
from collections.abc import Sequence

from minikd.report import units, verdict
from minikd.report.evidence import MODELS, HistoryRow, ModelResult, Results
from minikd.terminal import one_line

WIDTH = 100
"""Columns of the narrowest terminal that the tables are made for."""

PUBLISHED = {
    "teacher": ("Teacher (CNN)", (96.50, 97.58, 98.37, 97.73, 98.59)),
    "student_distilled": ("Student (distilled)", (97.12, 97.34, 96.38, 97.24, 97.31)),
}
"""Test accuracy by epoch, in percent, of the PyTorch notebook that this project grew from."""

SUMMARY = (
    ("", "para-", "", "mult-", "test", "accu-", "", "ECE", "agree-", "images", "one"),
    ("", "meters", "bytes", "adds", "errors", "racy %", "NLL", "%", "ment %", "/ s", "image"),
)
_SEED = (("epoch", "loss", "accuracy %", "published %", "difference"),)


def summary_table(results: Results) -> str:
    """Return the three models as an aligned table of at most 100 columns, and below it what the numbers say."""
    models = results["teacher"], results["student_baseline"], results["student_distilled"]
    agreements = None, results["student_baseline"]["agreement"], results["student_distilled"]["agreement"]
    rows = [
        (name, *cells(model, agreement))
        for name, model, agreement in zip(MODELS.values(), models, agreements, strict=True)
    ]
    return "\n\n".join(
        [aligned(SUMMARY, rows), *(textwrap.fill(sentence, WIDTH) for sentence in verdict.sentences(results))]
    )


def cells(model: ModelResult, agreement: float | None) -> tuple[str, ...]:
    """Return a model's numbers as text, in the order of the summary's columns; a teacher has no agreement."""
    return (
        units.count(model["parameters"]),
        units.size(model["bytes"]),
        units.short_count(model["macs"]),
        f"{model['errors']:,}",
        units.percent(model["accuracy"]),
        f"{model['nll']:.4f}",
        units.percent(model["ece"]),
        "–" if agreement is None else units.percent(agreement),
        units.short_count(model["images_per_second"]),
        units.milliseconds(model["latency_ms"]),
    )


def seed_tables(history: Sequence[HistoryRow]) -> str:
    """Return the seed notebook's two tables: our loss and accuracy by epoch, with the published accuracy beside them.

    The notebook published no losses, so ours stand alone; an epoch that only one of the two has shows a dash.
    """
    return "\n\n".join(
        _seed_table(title, published, _rows(history, key)) for key, (title, published) in PUBLISHED.items()
    )


def _seed_table(title: str, published: Sequence[float], ours: Sequence[HistoryRow]) -> str:
    rows = []
    for epoch in range(1, max(len(published), len(ours)) + 1):
        theirs = published[epoch - 1] if epoch <= len(published) else None
        row = ours[epoch - 1] if epoch <= len(ours) else None
        accuracy = None if row is None else 100 * float(row["accuracy"])
        rows.append(
            (
                str(epoch),
                "–" if row is None else f"{float(row['loss']):.4f}",
                "–" if accuracy is None else f"{accuracy:.2f}",
                "–" if theirs is None else f"{theirs:.2f}",
                "–" if accuracy is None or theirs is None else f"{accuracy - theirs:+.2f}",
            )
        )
    split = f", measured on the {ours[0]['evaluated_on']} images" if ours else ", not trained"
    return f"{title}{split}\n{aligned(_SEED, rows)}"


def _rows(history: Sequence[HistoryRow], model: str) -> list[HistoryRow]:
    return sorted((row for row in history if row["model"] == model), key=lambda row: int(row["epoch"]))


def aligned(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> str:
    """Return the cells in columns two blanks apart, a text column to the left and numbers to the right.

    A cell may hold a name from a file: its control characters are written by their numbers.
    """
    header, rows = ([[one_line(cell) for cell in line] for line in lines] for lines in (header, rows))
    widths = [max(map(len, column)) for column in zip(*header, *rows, strict=True)]
    first = str.rjust if header[-1][0] else str.ljust

    def line(cells: Sequence[str]) -> str:
        padded = [first(cells[0], widths[0])] + [cell.rjust(w) for cell, w in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([*map(line, header), rule, *map(line, rows)])
