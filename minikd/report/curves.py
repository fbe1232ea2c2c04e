"""The figure of training: loss and error of the three models, epoch by epoch."""

from typing import TYPE_CHECKING

from minikd.distillation.results import MODELS
from minikd.report import style
from minikd.report.figure_data import FigureData, HistoryRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curves(evidence: FigureData, narrow: bool = False) -> "Figure":
    """Draw the training loss and the error on unseen images against the epoch."""
    runs = {model: _rows(evidence, model) for model in MODELS}
    errors = {model: [100 * (1 - float(row["accuracy"])) for row in rows] for model, rows in runs.items()}
    losses = {model: [float(row["loss"]) for row in rows] for model, rows in runs.items()}
    split = next((style.label(str(rows[0]["evaluated_on"])) for rows in runs.values() if rows), "validation")

    width, height = (style.NARROW, 6.2) if narrow else (10, 4.2)
    figure = style.new_figure(width, height, style.wrapped(_title(errors, split), width))
    left, right = figure.subplots(*(2, 1) if narrow else (1, 2))
    for model in MODELS:
        epochs = [int(row["epoch"]) for row in runs[model]]
        _line(left, model, epochs, losses[model])
        _line(right, model, epochs, errors[model])
    style.tidy(left, "Training loss: compare shapes, not heights", "epoch", "mean loss")
    style.tidy(right, f"Error on the {split} images", "epoch", "error / %")
    for ax, values in (left, losses), (right, errors):
        _scale(ax, [value for series in values.values() for value in series])
    right.legend(frameon=False, fontsize=9)
    return figure


def _rows(evidence: FigureData, model: str) -> list[HistoryRow]:
    """Return one model's epochs in order. All were measured on the same split as the first."""
    rows = sorted((row for row in evidence.history if row["model"] == model), key=lambda row: int(row["epoch"]))
    return [row for row in rows if row["evaluated_on"] == rows[0]["evaluated_on"]]


def _title(errors: dict[str, list[float]], split: str) -> str:
    alone, taught = errors["student_baseline"], errors["student_distilled"]
    if not (alone and taught):
        return "Training"
    ends = f"{taught[-1]:.2f} % for the distilled student, {alone[-1]:.2f} % for the baseline"
    return f"{split.capitalize()} error ends at {ends}"


def _line(ax: "Axes", model: str, epochs: list[int], values: list[float]) -> None:
    dashes, marker = style.LINES[model]
    every = max(1, len(epochs) // 10)
    ax.plot(
        epochs,
        values,
        dashes,
        marker=marker,
        markevery=every,
        markersize=4.5,
        linewidth=1.8,
        color=style.COLOURS[model],
        label=MODELS[model],
    )


def _scale(ax: "Axes", values: list[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if style.all_positive(values):
        ax.set_yscale("log")
        wide = style.all_positive(values, spread=1000)
        ax.yaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10f}".rstrip("0").rstrip(".")))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif values:
        ax.set_ylim(0, max(*values, 1e-9) * 1.08)
