"""The data from which the figures of a report are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from minikd.distillation.results import MODELS
from minikd.errors import ConfigError, ShapeError
from minikd.typing import Floats, Ints, Pixels

HistoryRow: TypeAlias = Mapping[str, str | int | float]
"""A row of history.csv: numbers before it is written, text after it is read."""


@dataclass(frozen=True)
class FigureData:
    """The data for the figures.

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
        """Refuse arrays that do not fit each other: a figure of misaligned rows would look right and be wrong."""
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
        """Return the predicted class of each test image, (N,)."""
        predicted: Ints = np.asarray(self.logits[model]).argmax(axis=1)
        return predicted
