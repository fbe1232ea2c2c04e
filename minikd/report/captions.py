"""The text below each figure: the numbers of this run in it, and how to read it."""

from collections.abc import Callable

import numpy as np

from minikd.console import units
from minikd.distillation.results import MODELS
from minikd.losses import softmax
from minikd.metrics import confusion_matrix, reliability
from minikd.report import style
from minikd.report.figure_data import FigureData, HistoryRow
from minikd.report.pictures import UNITS, disagreeing
from minikd.report.soft_targets import interesting

READING = {
    "training_curves": "The two students have different losses, so compare their errors, not their losses.",
    "soft_targets": "A higher temperature T flattens the teacher's answer. The other classes then have larger "
    "probabilities. The distilled student learns these besides the label.",
    "confusion_matrix": "Rows are the true class, columns the answer. Only mistakes are coloured; the grey diagonal "
    "holds the right answers.",
    "reliability_diagram": "Of all answers given with 80 % confidence, 80 % should be right: the diagonal. Below it a "
    "model is too sure, above it not sure enough. ECE is the mean distance from it, weighted by the number of answers. "
    "The panels below show this number; a pale bar has fewer than ten.",
    "first_layer_filters": "The weights of the first layer, one picture for each unit, largest norm first. Structure "
    "is learned. Noise is left where the training changed little.",
    "disagreements": "Below each image are its class, both students' answers and the teacher's.",
}
"""How to read each figure, for any run."""


EVEN = 0.0005
"""A mean confidence as near as this to the accuracy is called neither too high nor too low."""


def caption(name: str, evidence: FigureData) -> str:
    """Return the caption of a figure: what it shows for this run, then how to read it."""
    return f"{SHOWN[name](evidence)} {READING[name]}".strip()


def _curves(evidence: FigureData) -> str:
    """Return the last error of each model, and the lowest error if it was lower."""
    told, split = [], "validation"
    for model, name in MODELS.items():
        rows = sorted((row for row in evidence.history if row["model"] == model), key=lambda row: int(row["epoch"]))
        if rows:
            split = str(rows[-1]["evaluated_on"])
            told.append(_ending(name, [row for row in rows if row["evaluated_on"] == split]))
    if not told:
        return "No epoch was recorded."
    return f"Loss on the training images and error on the {style.short(split)} images, by epoch. {' '.join(told)}"


def _ending(name: str, rows: list[HistoryRow]) -> str:
    errors = [100 * (1 - float(row["accuracy"])) for row in rows]
    best = int(np.argmin(errors))
    if errors[-1] <= 1.1 * errors[best]:
        return f"The {name} ends at {errors[-1]:.2f} %."
    return f"The {name} ends at {errors[-1]:.2f} %, after {errors[best]:.2f} % in epoch {rows[best]['epoch']}."


def _soft_targets(evidence: FigureData) -> str:
    """Return the teacher's two best guesses at T = 1 and at the run's temperature."""
    logits = np.asarray(evidence.logits["teacher"], dtype=np.float64)
    chosen = interesting(logits, evidence.test_labels)
    guesses, true = np.argsort(logits[chosen])[::-1][:2], evidence.test_labels[chosen]

    def answer_at(temperature: float) -> str:
        probabilities = softmax(logits[chosen : chosen + 1], temperature)[0]
        parts = (f"{probabilities[k]:.2f} for {style.short(evidence.class_names[k])}" for k in guesses)
        return f"at T = {temperature:g} it says {' and '.join(parts)}"

    right = "right" if guesses[0] == true else f"wrong: the class is {style.short(evidence.class_names[true])}"
    temperatures = dict.fromkeys((1.0, evidence.temperature))
    return f"The teacher's answer to test image {chosen}: {', '.join(map(answer_at, temperatures))}. It is {right}."


def _confusion(evidence: FigureData) -> str:
    """Return how many errors teacher and distilled student make, and the student's most frequent mistake."""
    counts = {
        model: confusion_matrix(evidence.logits[model], evidence.test_labels)
        for model in ("teacher", "student_distilled")
    }
    told = [f"the {MODELS[model]} {matrix.sum() - matrix.trace():,}" for model, matrix in counts.items()]
    matrix = counts["student_distilled"]
    mistakes = matrix - np.diag(np.diag(matrix))
    said = f"Errors on {len(evidence.test_labels):,} test images: {', '.join(told)}."
    if not mistakes.any():
        return said
    true, taken = divmod(int(mistakes.argmax()), len(mistakes))
    pair = style.short(evidence.class_names[true]), style.short(evidence.class_names[taken])
    return (
        f"{said} Of {matrix[true].sum():,} images of {pair[0]}, the distilled student takes {mistakes[true, taken]:,} "
        f"for {pair[1]}."
    )


def _reliability(evidence: FigureData) -> str:
    """Return each model's mean confidence and its accuracy."""
    told = []
    for model, name in MODELS.items():
        bars = reliability(evidence.logits[model], evidence.test_labels, 15)
        share = bars.counts / bars.counts.sum()
        filled = bars.counts > 0
        sure = float(share[filled] @ bars.confidence[filled])  # () = (bins) @ (bins)
        right = float(share[filled] @ bars.accuracy[filled])  # () = (bins) @ (bins)
        judged = "" if abs(sure - right) < EVEN else ": too sure" if sure > right else ": too modest"
        percent = units.percent(right), units.percent(sure)
        told.append(
            f"The {name} is right in {percent[0]} % of its answers, and on average {percent[1]} % sure{judged}."
        )
    return " ".join(told)


def _filters(evidence: FigureData) -> str:
    """Return how many of the filters are shown, and their sizes."""
    told = [
        f"{min(UNITS, len(weights))} of the {MODELS[model]}'s {len(weights)}"
        for model, weights in evidence.filters.items()
        if model in MODELS
    ]
    return f"Shown: {', '.join(told)}." if told else "No first-layer filters were recorded."


def _disagreements(evidence: FigureData) -> str:
    """Return on how many images the students differ, and which student is right."""
    groups = disagreeing(evidence)
    total, samples = sum(map(len, groups.values())), len(evidence.test_labels)
    if not total:
        return f"The two students give the same answer to each of the {samples:,} test images."
    only_distilled, only_baseline, neither = map(len, groups.values())
    return (
        f"The students differ on {total:,} of {samples:,} test images: the distilled student alone is right on "
        f"{only_distilled:,}, the baseline alone on {only_baseline:,}, neither on {neither:,}. The first of each kind "
        "are shown."
    )


SHOWN: dict[str, Callable[[FigureData], str]] = {
    "training_curves": _curves,
    "soft_targets": _soft_targets,
    "confusion_matrix": _confusion,
    "reliability_diagram": _reliability,
    "first_layer_filters": _filters,
    "disagreements": _disagreements,
}
"""The caption of each figure."""
