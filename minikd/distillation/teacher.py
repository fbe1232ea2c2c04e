"""The teacher's outputs for the same view that the student sees: its logits, and outputs of hidden layers.

If the student's images are augmented, each view is new, so the teacher computes its outputs for each batch. Its outputs
for the clean image would not fit the view. If they are not augmented, the teacher computes its outputs once for each
image. They are stored by sample number. A batch has the numbers of its samples, so shuffling cannot misalign them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from minikd import memory
from minikd.backends import module_of
from minikd.data import Batch, Views
from minikd.distillation.scaled_logits import ScaledTeacher, scaled
from minikd.distillation.teacher_cache import cached_outputs
from minikd.methods import Answer, Ask, TeacherAnswers
from minikd.methods.ensemble import Ensemble
from minikd.methods.layers import shapes
from minikd.nn import Sequential
from minikd.nn.taps import numbers_of
from minikd.training import Callback
from minikd.training.callbacks import Callbacks
from minikd.training.inference import outputs_of
from minikd.training.parallel import Map, workers
from minikd.typing import Floats

KEPT_BYTES = 2**30
"""The most bytes of hidden layers' outputs that are stored.

If there are more, they are computed for each batch. The default teacher's second convolution has 64 maps of 7 x 7. For
55,000 images they take 0.7 GB.
"""


@dataclass(frozen=True, eq=False)
class LiveTeacher:
    """Computes the outputs for each batch, in evaluation mode: without dropout, with running statistics."""

    model: Sequential
    layers: tuple[str, ...] = ()

    def __call__(self, batch: Batch) -> Answer:
        if not self.layers:
            return Answer(self.model(batch.images))
        logits, taps, _ = self.model.forward_with_taps(batch.images, self.layers)
        return Answer(logits, taps)


@dataclass(frozen=True, eq=False)
class CachedTeacher:
    """Has computed its outputs once for each image: `logits` (N, K) and the layers' outputs, row i for sample i."""

    logits: Floats
    taps: Mapping[str, Floats] = field(default_factory=dict)

    def __call__(self, batch: Batch) -> Answer:
        rows = module_of(self.logits).asarray(batch.index)  # one small copy to a device
        return Answer(self.logits[rows], {name: value[rows] for name, value in self.taps.items()})


def asking(
    teachers: Sequence[Sequential],
    views: Views,
    callbacks: Sequence[Callback] = (),
    threads: int | None = None,
    folder: Path | None = None,
    min_uncertainty: float = 0.0,
) -> Ask:
    """Return the function with which a method asks its teachers, see `answers`. Callbacks are told if it takes long."""

    def ask(layers: tuple[str, ...], temperature: float) -> TeacherAnswers:
        if views.augmentation is None:
            Callbacks(callbacks).note(f"the teacher looks at {len(views):,} images ...")
        on_host = module_of(teachers[0].vector) is np
        with workers(threads if on_host else 1) as map_:
            found = answers(teachers, views, map_, layers, temperature, folder, min_uncertainty)
        if isinstance(found, ScaledTeacher) and found.factor < 1:
            Callbacks(callbacks).note(f"the teacher is too confident: its logits are multiplied by {found.factor:g}")
        return found

    return ask


def answers(
    teachers: Sequence[Sequential],
    views: Views,
    map_: Map,
    layers: tuple[str, ...],
    temperature: float,
    folder: Path | None = None,
    min_uncertainty: float = 0.0,
) -> TeacherAnswers:
    """Return the teacher's outputs for these views. Several teachers count as one, see `methods.ensemble`.

    With `folder`, outputs for unaugmented views are cached there for later runs, see `distillation.teacher_cache`.
    min_uncertainty: see `distillation.scaled_logits`.
    """
    found = ((one, teacher_for(one, views, map_, layers, folder)) for one in teachers)
    each = [scaled(answer, one, views, temperature, min_uncertainty) for one, answer in found]
    return each[0] if len(each) == 1 else Ensemble(each, temperature)


def teacher_for(
    teacher: Sequential, views: Views, map_: Map, layers: tuple[str, ...] = (), folder: Path | None = None
) -> TeacherAnswers:
    """Return the teacher's outputs for these views: computed once if the views never change, else for each batch."""
    every = shapes(teacher, views.images.shape[1:]) if layers else {}
    numbers = numbers_of(layers, teacher.layers).values()
    size = len(views) * teacher.vector.itemsize * sum(math.prod(every[number]) for number in numbers)
    if (views.augmentation is not None and views.augmentation.active) or size > KEPT_BYTES:
        return LiveTeacher(teacher, layers)
    size += len(views) * teacher.vector.itemsize * math.prod(teacher.output_shape(views.images.shape[1:]))
    memory.require(size, f"a teacher's answers to {len(views):,} images", "distill on fewer images")
    put = module_of(teacher.vector).asarray
    look = partial(outputs_of, teacher, views, map_, layers)
    logits, taps = look() if folder is None else cached_outputs(folder, teacher, views, layers, look)
    return CachedTeacher(put(logits), {name: put(value) for name, value in taps.items()})
