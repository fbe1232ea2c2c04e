"""A run that never happened: results, history and evidence with the shape of the real ones."""

import numpy as np

from minikd import metrics
from minikd.distillation.results import interval_of
from minikd.report import FigureData


def results(baseline=158, distilled=115, p=0.00002, only_baseline=81, only_distilled=38, dataset="mnist"):
    def model(text, parameters, macs, errors, latency):
        return {
            "model": text,
            "parameters": parameters,
            "bytes": 4 * parameters,
            "macs": macs,
            "errors": errors,
            "errors_interval": interval_of(metrics.wilson_interval(errors, 10_000)),
            "accuracy": 1 - errors / 10_000,
            "nll": 0.0213,
            "ece": 0.0031,
            "images_per_second": 38_214.5,
            "latency_ms": latency,
        }

    student = "784-128-10"
    return {
        "name": "2026-01-02-mnist",
        "recipe": "default",
        "dataset": {
            "name": dataset,
            "train": 55_000,
            "unlabelled": 0,
            "validation": 5_000,
            "test": 10_000,
            "classes": 10,
            "image_shape": (1, 28, 28),
        },
        "teacher": model("conv 3x3x32 - pool - conv 3x3x64 - pool - 128 - 10", 421_642, 4_241_152, 61, 0.91),
        "student_baseline": {**model(student, 101_770, 101_632, baseline, 0.021), "agreement": 0.9853},
        "student_distilled": {**model(student, 101_770, 101_632, distilled, 0.021), "agreement": 0.9901},
        "mcnemar_p": p,
        "mcnemar": {
            "only_baseline_wrong": only_baseline,
            "only_distilled_wrong": only_distilled,
            "fewer_errors_interval": interval_of(metrics.paired_interval(only_baseline, only_distilled, 10_000)),
        },
        "method": "soft_targets",
        "method_args": {"temperature": 4.0, "alpha": 0.9},
        "seed": 0,
        "seconds": 177.4,
        "stages": {"teacher": 71.0, "student_baseline": 42.3, "student_distilled": 55.1},
        "backend": "numpy",
        "backend_reason": "CuPy is not installed",
        "machine": {"cpu": "A processor", "cores": 2, "threads": 2, "blas": "OpenBLAS 0.3.29"},
        "versions": {"minikd": "0.1.0", "numpy": "2.4.0", "python": "3.12.1"},
    }


def history(epochs=5, evaluated_on="validation"):
    finals = {"teacher": 0.006, "student_baseline": 0.017, "student_distilled": 0.012}
    return [
        {
            "model": model,
            "epoch": epoch,
            "loss": 0.4 / epoch,
            "accuracy": 1 - final * (1 + 4 / epoch),
            "nll": 3 * final,
            "evaluated_on": evaluated_on,
            "learning_rate": 1e-3,
            "images_per_second": 20_000.0,
            "seconds": 2.5,
            "steps": "host",
        }
        for model, final in finals.items()
        for epoch in range(1, epochs + 1)
    ]


def evidence(samples=200, classes=10, shape=(1, 28, 28), names=None, wrong=(0.02, 0.1, 0.06), dtype=np.uint8, **fields):
    """Return evidence whose models err on the given fractions, sharply where right and softly where wrong."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, classes, samples)
    images = rng.random((samples, *shape))
    logits = {}
    for model, fraction in zip(("teacher", "student_baseline", "student_distilled"), wrong, strict=True):
        scores = rng.normal(0, 1.5, (samples, classes)).astype(np.float32)
        scores[np.arange(samples), labels] = scores.max(axis=1) + rng.gamma(2, 2, samples)
        mistaken = rng.permutation(samples)[: round(fraction * samples)]
        scores[mistaken, (labels[mistaken] + 1) % classes] = scores[mistaken].max(axis=1) + 1
        logits[model] = scores
    filters = {
        "teacher": rng.normal(0, 0.3, (32, shape[0], 3, 3)),
        "student_baseline": rng.normal(0, 0.05, (128, *shape)),
        "student_distilled": rng.normal(0, 0.05, (128, *shape)),
    }
    made = {
        "class_names": names or tuple(map(str, range(classes))),
        "test_images": (images * 255).astype(np.uint8) if dtype == np.uint8 else images.astype(dtype),
        "test_labels": labels,
        "logits": logits,
        "filters": filters,
        "temperature": 4.0,
        "history": history(),
    }
    return FigureData(**{**made, **fields})
