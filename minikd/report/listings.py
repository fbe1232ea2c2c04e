"""The smaller tables of the command line: models on a test set, and what they see in a picture."""

from collections.abc import Mapping

from minikd.distillation.predict import Prediction
from minikd.report import units
from minikd.report.evidence import MODELS, ModelResult
from minikd.report.tables import aligned

_MODELS = (
    ("", "para-", "", "mult-", "test", "accu-", "", "ECE", "images", "one"),
    ("", "meters", "bytes", "adds", "errors", "racy %", "NLL", "%", "/ s", "image"),
)


def models_table(rows: Mapping[str, ModelResult]) -> str:
    """Return a line for each model, under its name."""
    return aligned(
        _MODELS,
        [
            (
                name,
                units.count(row["parameters"]),
                units.size(row["bytes"]),
                units.short_count(row["macs"]),
                f"{row['errors']:,}",
                units.percent(row["accuracy"]),
                f"{row['nll']:.4f}",
                units.percent(row["ece"]),
                units.short_count(row["images_per_second"]),
                units.milliseconds(row["latency_ms"]),
            )
            for name, row in rows.items()
        ],
    )


def predictions_table(prediction: Prediction, top: int) -> str:
    """Return the `top` classes of a picture, by the first model's probability, a column for each model."""
    columns = prediction["probabilities"]
    first = next(iter(columns.values()))
    likely = sorted(first, key=first.__getitem__, reverse=True)[:top]
    header = ((prediction["image"], *(MODELS[name] for name in columns)),)
    return aligned(header, [(label, *(f"{each[label]:.1%}" for each in columns.values())) for label in likely])
