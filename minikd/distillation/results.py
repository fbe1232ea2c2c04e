"""results.json: the numbers of a finished run (`Results`), or the numbers so far (`PartialResults`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from minikd.machine import Machine
from minikd.storage.jsonfiles import broken_file, read_json, write_json
from minikd.storage.schema import as_type

FIX = "remove it, and --resume writes it again"

SETTINGS = ("method_args", "config")
"""The parts of the results that are settings. Their limits are checked elsewhere."""

FRACTIONS = ("accuracy", "ece", "agreement", "mcnemar_p")

SIGNED = ("low", "high")
"""The bounds of an interval, which may be below 0."""


MODELS = {
    "teacher": "teacher",
    "student_baseline": "baseline",
    "student_distilled": "distilled student",
}
"""Each model's key in results.json and history.csv, and its name for a reader."""


def name_of(model: str) -> str:
    """Return a model's name for a reader from its key, also "generation 1" for a model on the way to the student."""
    return MODELS.get(model, model.replace("_", " "))


class ErrorInterval(TypedDict):
    """The bounds of a 95 % interval."""

    low: float
    high: float


def interval_of(bounds: tuple[float, float]) -> ErrorInterval:
    """Return two bounds with their names."""
    return ErrorInterval(low=bounds[0], high=bounds[1])


class ModelResult(TypedDict):
    """One row of the table: a model's size, its answers on the test set and its speed.

    `errors_interval` is the 95 % interval of the errors. Results of earlier versions do not have it.
    """

    model: str
    parameters: int
    bytes: int
    macs: int
    errors: int
    errors_interval: NotRequired[ErrorInterval]
    accuracy: float
    nll: float
    ece: float
    images_per_second: float
    latency_ms: float


class StudentResult(ModelResult):
    """A student's row, with the fraction of test images for which it gives the same answer as the teacher."""

    agreement: float


class DatasetResult(TypedDict):
    """The data of a run, as numbers of images. `train`: images with labels, without the held-out `validation` images.

    `unlabelled` is the number of other images to distill on. `image_shape` is (C, H, W). `test_digest` identifies the
    test images and their labels. Results of earlier versions do not have it.
    """

    name: str
    train: int
    unlabelled: int
    validation: int
    test: int
    classes: int
    image_shape: Sequence[int]
    test_digest: NotRequired[str]


class Discordant(TypedDict):
    """The numbers of test images that only one of the two students gets wrong.

    `fewer_errors_interval` is the 95 % interval of the distilled student's gain: the baseline's errors minus its own
    errors. Results of earlier versions do not have it.
    """

    only_baseline_wrong: int
    only_distilled_wrong: int
    fewer_errors_interval: NotRequired[ErrorInterval]


class RunConditions(TypedDict):
    """What the numbers of a run depend on. `stages` maps a model to the seconds of its training.

    `config` is the recipe as a table, and `loops` says whether Numba's loops or NumPy did the work. Results of earlier
    versions have neither. `steps` says for each model that was trained on a device in the last session whether its
    steps were CUDA graphs.
    """

    seed: int
    config: NotRequired[Mapping[str, object]]
    stages: Mapping[str, float]
    backend: str
    backend_reason: str
    loops: NotRequired[str]
    steps: NotRequired[Mapping[str, str]]
    machine: Machine
    versions: Mapping[str, str]


class Results(RunConditions):
    """The file results.json. Fractions are from 0 to 1, and `seconds` is the time of the whole run."""

    name: str
    recipe: str
    dataset: DatasetResult
    teacher: ModelResult
    student_baseline: StudentResult
    student_distilled: StudentResult
    mcnemar_p: float
    mcnemar: Discordant
    recommended: NotRequired[str]
    method: str
    method_args: Mapping[str, object]
    seconds: float


class PartialResults(RunConditions):
    """The contents of results.json after `train`: the models that are trained so far."""

    name: str
    dataset: DatasetResult
    teacher: NotRequired[ModelResult]
    student_baseline: NotRequired[ModelResult]


def read_results(folder: Path) -> Any:
    """Return the contents of results.json: `Results`, or a part of them after `train`, or {} if there is no such file.

    Raises CheckpointError for a file that is damaged or cannot be read.
    """
    path = folder / "results.json"
    found = read_json(path, FIX)
    if found is None:
        return {}
    try:
        return checked_results(found)
    except ValueError as error:
        raise broken_file(path, error, FIX) from error


def checked_results(table: Mapping[str, object]) -> Mapping[str, object]:
    """Return a run's numbers after a check: they must be `Results` or, without a distilled student, a part of them."""
    kind: type[Mapping[str, object]] = Results if "student_distilled" in table else PartialResults
    found = as_type(table, kind)
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
