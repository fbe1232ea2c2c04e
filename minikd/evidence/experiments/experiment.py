"""The description of an experiment: its cells by stage, its duration, and its figure."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minikd.data import load_dataset
from minikd.distillation.recipe import Distillation, Recipe
from minikd.errors import ConfigError
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.storage.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TINY_TRAIN, TINY_TEST = 600, 300
"""Images of the tiny preset, to see that everything runs."""


@dataclass(frozen=True)
class Size:
    """The length of a preset: epochs of a teacher and of a student, and minutes on two cores for five seeds.

    tuning: the seeds for which candidates are trained; if empty, nothing is tuned.
    copies: the number of augmented copies of each image, if the students' images are augmented in advance; an epoch is
    then a pass over all copies.
    students: the names of the students that `size` compares.
    """

    teacher: int
    student: int
    minutes: float
    tuning: int = 0
    copies: int = 0
    students: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """The inputs from which the cells of an experiment are made."""

    recipe: Recipe
    size: Size
    seeds: int
    images: int

    def recipes(self) -> list[Recipe]:
        """Return the recipe of each seed."""
        return [replace(self.recipe, seed=seed) for seed in range(self.seeds)]


ExperimentStage = Callable[[Setup, Outcomes], list[Cell]]
"""Makes the cells of a stage from the outcomes of the earlier stages."""


class Published(NamedTuple):
    """A published number, and our number to compare it with: a row's errors, or one of its `parts`."""

    what: str
    row: str
    part: str
    number: str


@dataclass(frozen=True)
class Experiment:
    """An experiment with its name.

    summary: one line.
    compares: what is compared.
    against: the names in the table of a cell's `against`.
    published: published numbers for comparison.
    place: the name of its folder, if it differs from the experiment's name.
    """

    name: str
    summary: str
    compares: str
    sizes: Mapping[str, Size]
    recipe: Recipe
    stages: tuple[ExperimentStage, ...]
    against: tuple[str, ...]
    draw: "Callable[[ExperimentReport], Figure]"
    published: tuple[Published, ...] = ()
    place: str = ""

    def check(self, preset: str) -> None:
        """Raise ConfigError for a preset that the experiment lacks."""
        if preset not in self.sizes:
            raise ConfigError(f"--preset is {preset!r}, but must be one of {', '.join(self.sizes)}")

    def folder(self, preset: str) -> Path:
        """Return the default folder of a preset."""
        return Path("experiments") / f"{self.place or self.name}-{preset}"

    def setup(self, preset: str, seeds: int, folder: Path) -> Setup:
        """Return the inputs of a preset's cells, in a folder that exists."""
        size, recipe = self.sizes[preset], self.recipe
        if preset == "tiny":
            recipe = replace(recipe, data=tiny_data(folder))
        recipe = replace(
            recipe,
            teacher=replace(recipe.teacher, epochs=size.teacher),
            student=replace(recipe.student, epochs=size.student),
        )
        count = TINY_TRAIN if preset == "tiny" else len(load_dataset(recipe.data).train_labels)
        return Setup(recipe, size, seeds, count - min(recipe.validation, count // 10))


def teachers(setup: Setup, _: Outcomes) -> list[Cell]:
    """The teacher of each seed. It is trained once and teaches all students of its seed."""
    return [Cell("teacher", recipe, "teacher") for recipe in setup.recipes()]


def with_method(recipe: Recipe, method: str, settings: Mapping[str, object]) -> Recipe:
    """Return the recipe with a method and its settings."""
    return replace(recipe, distillation=Distillation(method=method, method_args=dict(settings)).written_out())


def tiny_data(folder: Path) -> str:
    """Write the first digits of MNIST to the folder, unless the file exists, and return its path."""
    path = (folder / "tiny.npz").absolute()
    if not path.exists():
        data = load_dataset("mnist")
        file = io.BytesIO()
        np.savez(
            file,
            train_images=data.train_images[:TINY_TRAIN],
            train_labels=data.train_labels[:TINY_TRAIN],
            test_images=data.test_images[:TINY_TEST],
            test_labels=data.test_labels[:TINY_TEST],
        )
        write_atomically(path, file.getvalue())
    return str(path)
