"""The smaller tables of the command line: models, and models on a test set."""

from collections.abc import Mapping

from minikd.distillation.measure import FileResult
from minikd.report.evidence import ModelResult
from minikd.report.tables import SUMMARY, aligned, cells

AGREEMENT = 8
"""The summary's column that only students of a run have."""


def models_table(rows: Mapping[str, ModelResult]) -> str:
    """Return a line for each model, under its name: the summary's columns without the agreement."""
    lines = [(name, *cells(row, None)) for name, row in rows.items()]
    return aligned([without_agreement(line) for line in SUMMARY], [without_agreement(line) for line in lines])


def evaluation_table(rows: Mapping[str, FileResult]) -> str:
    """Return the models' lines, and below them which images they were measured on."""
    one = next(iter(rows.values()))
    return f"{models_table(rows)}\n\nmeasured on the {one['images']:,} {one['part']} images of {one['data']}"


def without_agreement(line: tuple[str, ...]) -> tuple[str, ...]:
    """Return a line of the summary without that column."""
    return line[:AGREEMENT] + line[AGREEMENT + 1 :]
