"""What a run hands to the report: its numbers (`Results`, as in results.json) and the figures' data (`Evidence`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypeAlias, TypedDict

import numpy as np

from minikd.errors import ConfigError, ShapeError
from minikd.typing import Floats, Ints, Pixels

MODELS = {
    "teacher": "teacher",
    "student_baseline": "baseline",
    "student_distilled": "distilled student",
}
"""Each model's key in results.json and history.csv, and its name for a reader."""


def name_of(model: str) -> str:
    """Return a model's name for a reader by its key; "generation 1" of what is trained on the way to the student."""
    return MODELS.get(model, model.replace("_", " "))


class ModelResult(TypedDict):
    """One row of the table: a model's size, its answers on the test set and its speed."""

    model: str
    parameters: int
    bytes: int
    macs: int
    errors: int
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
    """How many test images only one of the two students gets wrong."""

    only_baseline_wrong: int
    only_distilled_wrong: int


class Machine(TypedDict):
    """The hardware a run was timed on."""

    cpu: str
    cores: int
    threads: int
    blas: str


class Circumstances(TypedDict):
    """What a run's numbers depend on; `stages` maps a model to the seconds of its training.

    `config` is the recipe as a table, `loops` says who ran NumPy's loops; results of earlier versions have neither.
    """

    seed: int
    config: NotRequired[Mapping[str, object]]
    stages: Mapping[str, float]
    backend: str
    backend_reason: str
    loops: NotRequired[str]
    machine: Machine
    versions: Mapping[str, str]


class Results(Circumstances):
    """The file results.json: fractions are 0 to 1, `seconds` is the whole run."""

    name: str
    recipe: str
    dataset: DatasetResult
    teacher: ModelResult
    student_baseline: StudentResult
    student_distilled: StudentResult
    mcnemar_p: float
    mcnemar: Discordant
    method: str
    method_args: Mapping[str, object]
    seconds: float


HistoryRow: TypeAlias = Mapping[str, str | int | float]
"""One row of history.csv, as written (numbers) or as read back (text)."""


@dataclass(frozen=True)
class Evidence:
    """What the figures are drawn from.

    `test_images` (N, C, H, W) and `test_labels` (N,); `logits` maps "teacher", "student_baseline" and
    "student_distilled" to test logits (N, K). `filters` maps a model to its first layer's weights as pictures: a
    convolution's (O, C, R, S), a dense layer's (hidden, C, H, W). `history` holds the rows of history.csv.
    """

    class_names: tuple[str, ...]
    test_images: Pixels
    test_labels: Ints
    logits: Mapping[str, Floats]
    filters: Mapping[str, Floats]
    temperature: float
    history: Sequence[HistoryRow]

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together: a figure of misaligned rows would look right and be wrong."""
        samples = len(self.test_labels)
        if self.test_images.ndim != 4 or len(self.test_images) != samples:
            raise ShapeError(f"test_images have shape {self.test_images.shape}, but must be ({samples}, C, H, W)")
        if missing := MODELS.keys() - self.logits.keys():
            raise ConfigError(f"logits of {', '.join(sorted(missing))} are missing: the report compares three models")
        for name, logits in self.logits.items():
            if logits.shape != (samples, len(self.class_names)):
                raise ShapeError(
                    f"logits of {name} have shape {logits.shape}, but {samples} labels and "
                    f"{len(self.class_names)} class names need ({samples}, {len(self.class_names)})"
                )

    def predictions(self, model: str) -> Ints:
        """Return the class that each test image was taken for, (N,)."""
        predicted: Ints = np.asarray(self.logits[model]).argmax(axis=1)
        return predicted
