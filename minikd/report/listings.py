"""The smaller tables of the command line: models on a test set, and what they see in a picture."""

from collections.abc import Mapping

from minikd.distillation.measure import FileResult
from minikd.distillation.predict import Prediction
from minikd.report.evidence import MODELS, ModelResult
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


def predictions_table(prediction: Prediction, top: int) -> str:
    """Return the `top` classes of a picture, by the first model's probability, a column for each model."""
    columns = prediction["probabilities"]
    first = next(iter(columns.values()))
    likely = sorted(first, key=first.__getitem__, reverse=True)[:top]
    header = ((prediction["image"], *(MODELS[name] for name in columns)),)
    return aligned(header, [(label, *(f"{each[label]:.1%}" for each in columns.values())) for label in likely])
