"""results.json: the numbers of a run, as `report.evidence.Results` says, or the part of them that is there by now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired

from minikd.report.evidence import Circumstances, DatasetResult, ModelResult, Results
from minikd.storage.jsonfiles import broken, read_json, write_json
from minikd.storage.schema import fitted

FIX = "remove it, and --resume writes it anew"

SETTINGS = ("method_args", "config")
"""What of the results is settings, which have limits of their own."""

FRACTIONS = ("accuracy", "ece", "agreement", "mcnemar_p")

SIGNED = ("low", "high")
"""The bounds of an interval, which may be below 0."""


class Begun(Circumstances):
    """What results.json holds after `train`: the models that are trained."""

    name: str
    dataset: DatasetResult
    teacher: NotRequired[ModelResult]
    student_baseline: NotRequired[ModelResult]


def read_results(folder: Path) -> Any:
    """Return what results.json holds: `Results`, a part of them after `train`, {} where there is no such file.

    Raises CheckpointError for a file that is damaged or cannot be read.
    """
    path = folder / "results.json"
    found = read_json(path, FIX)
    if found is None:
        return {}
    try:
        return checked_results(found)
    except ValueError as error:
        raise broken(path, error, FIX) from error


def checked_results(table: Mapping[str, object]) -> Mapping[str, object]:
    """Return a run's numbers, once they are `Results` or, as long as there is no distilled student, a part of them."""
    kind: type[Mapping[str, object]] = Results if "student_distilled" in table else Begun
    found = fitted(table, kind)
    check_numbers({name: value for name, value in table.items() if name not in SETTINGS})
    return found


def check_numbers(values: Mapping[str, object]) -> None:
    """Refuse numbers below 0, and fractions above 1. Raises ValueError."""
    for name, value in values.items():
        if isinstance(value, dict):
            check_numbers(value)
        elif isinstance(value, int | float) and name not in SIGNED and (value < 0 or (name in FRACTIONS and value > 1)):
            raise ValueError(f"{name} is {value}")


def write_results(folder: Path, results: Mapping[str, object]) -> None:
    """Write results.json."""
    write_json(folder / "results.json", results, indent=2)
