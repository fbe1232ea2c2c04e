"""What a run and an experiment leave behind, without a run or an experiment."""

from minikd.distillation.recipe import Recipe
from minikd.evidence.experiments.cell import Cell, Measured, Outcome
from minikd.weights import Card

CARD = Card("student", (1, 6, 6), (0.1307,), (0.3081,), ("zéro", "un", "deux"))
CELL = Cell("teacher", Recipe(), "teacher")


def row(model, epoch):
    means = {f"{term}_{what}": float("nan") for term in ("soft", "feature") for what in ("loss", "gradient")}
    return {
        **{"model": model, "epoch": epoch, "loss": 0.1 + epoch, "accuracy": 0.5, "nll": 0.75, "evaluated_on": "test"},
        **{"learning_rate": 1e-3, "images_per_second": 1234.5, "seconds": 0.25, "hard_loss": 1.5, "hard_gradient": 0.2},
        **{**means, "cosine": float("nan"), "steps": "host"},
    }


def result(name, **more):
    sizes = {"model": "36-8-3", "parameters": 323, "bytes": 1292, "macs": 312, "errors": 4, "accuracy": 0.9}
    sizes["errors_interval"] = {"low": 1.6, "high": 8.9}
    return {**sizes, "nll": 0.3, "ece": 0.02, "images_per_second": 1e5, "latency_ms": 0.01, **more}


RESULTS = {
    **{"name": "run", "recipe": "own", "seed": 0, "method": "soft_targets", "method_args": {"temperature": 4.0}},
    "dataset": {
        **{"name": "bars", "train": 54, "unlabelled": 0, "validation": 6, "test": 30, "classes": 3},
        "image_shape": [1, 6, 6],
    },
    "teacher": result("teacher"),
    "student_baseline": result("student_baseline", agreement=0.9),
    "student_distilled": result("student_distilled", agreement=0.95),
    **{"mcnemar_p": 0.5, "mcnemar": {"only_baseline_wrong": 3, "only_distilled_wrong": 1}, "seconds": 1.5},
    "recommended": "student_distilled",
    **{"stages": {"teacher": 0.5, "student_distilled": 0.25}, "backend": "numpy", "backend_reason": "asked for"},
    **{"machine": {"cpu": "a", "cores": 2, "threads": 2, "blas": "b"}, "versions": {"numpy": "2.0"}},
}
RESULTS["mcnemar"]["fewer_errors_interval"] = {"low": -2.3, "high": 6.1}
OUTCOME = Outcome(
    **{"name": "teacher", "seed": 0, "recipe": Recipe().to_toml(), "parameters": 323, "seconds": 0.5},
    **{"validation": 0.1, "validation_nll": 0.3, "parts": {"threes": 3.0}},
    test=Measured(errors=1, images=3, nll=0.2, ece=0.1, predictions=[0, 1, 1], wrong=[2]),
)
