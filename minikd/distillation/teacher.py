"""The teacher's logits for the very view that the student sees.

Where the student's images are augmented, each view is new, and the teacher looks at it there and then: logits of the
clean image would be an answer to another question. Where they are not, the teacher looks at each image once, and its
logits are kept by sample number: a batch carries its samples' numbers, so no shuffle can misalign them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from minikd.backend import module_of
from minikd.data import Batch, Views
from minikd.nn import Sequential
from minikd.parallel import Map
from minikd.training import logits_of
from minikd.typing import Floats

TeacherLogits = Callable[[Batch], Floats]
"""A batch of normalised images on the device -> the teacher's logits (N, K) for them."""


@dataclass(frozen=True, eq=False)
class LiveTeacher:
    """Looks at each batch, in evaluation mode: dropout off, running statistics on."""

    model: Sequential

    def __call__(self, batch: Batch) -> Floats:
        return self.model(batch.images)


@dataclass(frozen=True, eq=False)
class CachedTeacher:
    """Looked at each image once: `logits` (N, K), row i for sample i."""

    logits: Floats

    def __call__(self, batch: Batch) -> Floats:
        rows: Floats = self.logits[module_of(self.logits).asarray(batch.index)]  # to a device, one small copy
        return rows


def teacher_logits(teacher: Sequential, views: Views, map_: Map) -> TeacherLogits:
    """Return the teacher's logits for these views: computed once where the views never change, else live."""
    if views.augmentation is not None and views.augmentation.active:
        return LiveTeacher(teacher)
    return CachedTeacher(module_of(teacher.vector).asarray(logits_of(teacher, views, map_)))
