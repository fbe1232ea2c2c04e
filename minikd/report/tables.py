"""The tables that a run prints: the summary with its verdict, and the original experiment with published numbers."""

from collections.abc import Mapping, Sequence

from minikd.console import units
from minikd.console.layout import aligned, paragraph, styled
from minikd.distillation.results import MODELS, ModelResult, Results
from minikd.report import verdict
from minikd.report.figure_data import HistoryRow

PUBLISHED = {
    "teacher": ("Teacher (CNN)", (96.50, 97.58, 98.37, 97.73, 98.59)),
    "student_distilled": ("Student (distilled)", (97.12, 97.34, 96.38, 97.24, 97.31)),
}
"""Test accuracy by epoch, in percent, of the PyTorch notebook that this project grew from."""

TERMS = {
    "95 % interval": "of the errors on other such images",
    "NLL": "how surprised by the right class; 0 is best",
    "ECE": "gap of confidence and accuracy; 0 is best",
    "agreement": "with the teacher's answers, right or wrong",
    "multiply-adds": "the work of one answer, on any machine",
    "one image": "time of one answer; images / s: in batches",
}
"""The meaning of each row of a model's table."""

CELLS = (
    *("parameters", "size", "multiply-adds", "test errors", "95 % interval", "accuracy"),
    *("NLL", "ECE", "agreement", "images / s", "one image"),
)
ORDER = (
    *("test errors", "95 % interval", "accuracy", "NLL", "ECE", "agreement"),
    *("parameters", "size", "multiply-adds", "images / s", "one image"),
)
PERCENT = ("accuracy", "ECE", "agreement")
"""The names of a model's numbers in `cells`, their names in the table, and which of them are in percent."""

_EPOCHS = (("epoch", "loss", "accuracy %", "published %", "difference"),)


def summary_table(results: Results) -> str:
    """Return the three models side by side, the meaning of the rows, and the verdict."""
    each = results["teacher"], results["student_baseline"], results["student_distilled"]
    models = dict(zip(MODELS.values(), each, strict=True))
    return "\n\n".join([models_table(models), glossary(models), *map(paragraph, verdict.sentences(results))])


def models_table(models: Mapping[str, ModelResult]) -> str:
    """Return a column for each model under its name: first its quality, then its size and its speed."""
    found = [rows_of(model) for model in models.values()]
    names = [name for name in found[0] if has_value(name, models)]
    return aligned((("", *models),), [(name, *(one[name] for one in found)) for name in names])


def glossary(models: Mapping[str, ModelResult]) -> str:
    """Return the meaning of the table's rows, a line for each."""
    width = max(map(len, CELLS))
    lines = [f"{name:{width}}  {text}" for name, text in TERMS.items() if has_value(name, models)]
    return styled("\n".join(lines), "faint")


def has_value(row: str, models: Mapping[str, ModelResult]) -> bool:
    """True for a row that some model has.

    Without a student there is no agreement, and earlier results have no interval.
    """
    key = {"agreement": "agreement", "95 % interval": "errors_interval"}.get(row)
    return key is None or any(key in model for model in models.values())


def rows_of(model: ModelResult) -> dict[str, str]:
    """Return a model's numbers as text by the names of the rows, in the order of the table."""
    agreement = model.get("agreement")
    found = dict(zip(CELLS, cells(model, agreement if isinstance(agreement, float) else None), strict=True))
    return {name: found[name] + (" %" if name in PERCENT and found[name] != "–" else "") for name in ORDER}


def cells(model: ModelResult, agreement: float | None) -> tuple[str, ...]:
    """Return a model's numbers as text, in the order of `CELLS`. A teacher has no agreement."""
    return (
        units.count(model["parameters"]),
        units.size(model["bytes"]),
        units.short_count(model["macs"]),
        f"{model['errors']:,}",
        units.interval(**model["errors_interval"]) if "errors_interval" in model else "–",
        units.percent(model["accuracy"]),
        f"{model['nll']:.4f}",
        units.percent(model["ece"]),
        "–" if agreement is None else units.percent(agreement),
        units.short_count(model["images_per_second"]),
        units.milliseconds(model["latency_ms"]),
    )


def original_tables(history: Sequence[HistoryRow]) -> str:
    """Return the original notebook's two tables: by epoch, our loss, our accuracy and the published accuracy.

    The notebook published no losses. A dash stands for a missing epoch.
    """
    return "\n\n".join(
        _original_table(title, published, _rows(history, key)) for key, (title, published) in PUBLISHED.items()
    )


def _original_table(title: str, published: Sequence[float], ours: Sequence[HistoryRow]) -> str:
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
    return f"{title}{split}\n{aligned(_EPOCHS, rows)}"


def _rows(history: Sequence[HistoryRow], model: str) -> list[HistoryRow]:
    return sorted((row for row in history if row["model"] == model), key=lambda row: int(row["epoch"]))
