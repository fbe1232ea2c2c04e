"""results.json: the numbers of a finished run (`Results`), or those that exist so far (`Begun`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from minikd.machine import Machine
from minikd.storage.jsonfiles import broken_file, read_json, write_json
from minikd.storage.schema import fitted

FIX = "remove it, and --resume writes it again"

SETTINGS = ("method_args", "config")
"""The parts of the results that are settings, whose limits are checked elsewhere."""

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
    """Return a model's name for a reader by its key; "generation 1" of what is trained on the way to the student."""
    return MODELS.get(model, model.replace("_", " "))


class ErrorInterval(TypedDict):
    """The bounds of a 95 % interval."""

    low: float
    high: float


def interval_of(bounds: tuple[float, float]) -> ErrorInterval:
    """Return two bounds by their names."""
    return ErrorInterval(low=bounds[0], high=bounds[1])


class ModelResult(TypedDict):
    """One row of the table: a model's size, its answers on the test set and its speed.

    `errors_interval` is the 95 % interval of the errors; results of an earlier version have none.
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
    """A student's row, with the fraction of test images on which it says what the teacher says."""

    agreement: float


class DatasetResult(TypedDict):
    """The data a run used, in images: `train` are those with a label, without the held-out `validation` images.

    `unlabelled` are more images to distill on; `image_shape` is (C, H, W). `test_digest` identifies the test images and
    their labels; results of an earlier version have none.
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
    """How many test images only one of the two students gets wrong.

    `fewer_errors_interval` is the 95 % interval of the distilled student's gain, the baseline's errors less its own;
    results of an earlier version have none.
    """

    only_baseline_wrong: int
    only_distilled_wrong: int
    fewer_errors_interval: NotRequired[ErrorInterval]


class RunConditions(TypedDict):
    """What a run's numbers depend on; `stages` maps a model to the seconds of its training.

    `config` is the recipe as a table, `loops` says who ran NumPy's loops; results of earlier versions have neither.
    `steps` says of each model that was trained on a device in the last session whether its steps were CUDA graphs.
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
    """The file results.json: fractions are 0 to 1, `seconds` is the whole run."""

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


class Begun(RunConditions):
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
        raise broken_file(path, error, FIX) from error


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
