"""The smaller tables of the command line: models on a test set, and what they see in a picture."""

import textwrap
from collections.abc import Mapping

from minikd.distillation.measure import FileResult
from minikd.distillation.predict import Prediction
from minikd.report.evidence import MODELS, ModelResult
from minikd.report.tables import SUMMARY, WIDTH, aligned, cells
from minikd.terminal import one_line

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


def predictions_table(prediction: Prediction, top: int, width: int) -> str:
    """Return how a picture was prepared, and below it each model's own `top` classes side by side."""
    head = one_line(prediction["image"]), *textwrap.wrap(prediction["prepared"], min(width, WIDTH))
    columns = prediction["probabilities"]
    room = max(4, (min(width, WIDTH) - 2) // len(columns) - 10)
    ranked = [likeliest(chances, top, room) for chances in columns.values()]
    rows = [(str(place), *cells) for place, cells in enumerate(zip(*ranked, strict=True), 1)]
    header = ("", *(MODELS[name] for name in columns))
    return "\n".join([*head, aligned([header], rows)])


def likeliest(chances: Mapping[str, float], top: int, room: int) -> list[str]:
    """Return a model's best classes as text, each name in at most `room` columns, with its probability."""
    best = sorted(chances, key=chances.__getitem__, reverse=True)[:top]
    names = [one_line(name) for name in best]
    cut = [name if len(name) <= room else f"{name[: room - 1]}…" for name in names]
    widest = max(map(len, cut))
    return [f"{name:<{widest}} {chances[key]:>6.1%}" for name, key in zip(cut, best, strict=True)]
