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
    """How long a preset trains: epochs of a teacher and of a student, and the minutes of all on two cores, five seeds.

    tuning: the seeds that candidates are trained for; none: nothing is tuned. copies: where the students' images are
    varied once and for all, how often each is there; an epoch is then a pass over all of them.
    students: where students of several sizes are compared, their names in `size`.
    """

    teacher: int
    student: int
    minutes: float
    tuning: int = 0
    copies: int = 0
    students: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """The inputs from which the cells of an experiment's run are made."""

    recipe: Recipe
    size: Size
    seeds: int
    images: int

    def recipes(self) -> list[Recipe]:
        """Return the recipe of each seed."""
        return [replace(self.recipe, seed=seed) for seed in range(self.seeds)]


ExperimentStage = Callable[[Setup, Outcomes], list[Cell]]
"""The cells that can be named once the earlier stages' outcomes are known."""


class Published(NamedTuple):
    """A published number, and which of ours stands beside it: a row's errors, or one of its `parts`."""

    what: str
    row: str
    part: str
    number: str


@dataclass(frozen=True)
class Experiment:
    """An experiment by its name.

    summary: one line. compares: with what. against: what each of a cell's `against` is called in the table. published:
    the numbers that ours stand beside. place: what its folder is called, where not by its name.
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
        """Raise ConfigError for a preset that it has not."""
        if preset not in self.sizes:
            raise ConfigError(f"--preset is {preset!r}, but must be one of {', '.join(self.sizes)}")

    def folder(self, preset: str) -> Path:
        """Return where a preset's run lies unless another place is named."""
        return Path("experiments") / f"{self.place or self.name}-{preset}"

    def setup(self, preset: str, seeds: int, folder: Path) -> Setup:
        """Return what the cells of a preset are made of, in a folder that is there."""
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
    """Each seed's teacher: trained once, and used by all its students."""
    return [Cell("teacher", recipe, "teacher") for recipe in setup.recipes()]


def taught(recipe: Recipe, method: str, settings: Mapping[str, object]) -> Recipe:
    """Return the recipe with a method and its settings."""
    return replace(recipe, distillation=Distillation(method=method, method_args=dict(settings)).written_out())


def tiny_data(folder: Path) -> str:
    """Write the first digits of MNIST to the folder, unless they are there, and return the path."""
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
