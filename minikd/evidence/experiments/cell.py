"""A cell: one model with one seed, trained in its own folder and measured once.

Its outcome is one JSON file, written completely or not at all when the cell ends. Outcomes on disk are not computed
again, so a stopped experiment continues where it was. A stopped cell continues from its checkpoint.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from minikd import metrics
from minikd.data import Views
from minikd.distillation.folder import RunFolder
from minikd.distillation.job import Job
from minikd.distillation.networks import prepared
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import Recipe
from minikd.errors import CheckpointError, ConfigError
from minikd.nn import Sequential
from minikd.storage.jsonfiles import read_table, write_json
from minikd.training import fit
from minikd.training.inference import logits_of
from minikd.training.parallel import workers
from minikd.typing import Floats, Ints

FIX = "remove it, and the cell runs again"

ROLES = {"teacher": "teacher", "baseline": "student_baseline", "student": "student_distilled"}
"""The roles of a cell, and the name of each one's weights file."""

WORDS_BEFORE = ("control", "alone")
"""The baseline's names in the rows of earlier versions, whose folders are still read."""

PATIENCE = 10.0
"""Seconds that a cell waits for its folder, because a worker of a killed experiment needs a moment to end."""


class Measured(TypedDict):
    """A finished model's results on the test images; `wrong` holds the indices of its errors."""

    errors: int
    images: int
    nll: float
    ece: float
    predictions: list[int]
    wrong: list[int]


class Outcome(TypedDict):
    """The results of a cell. `test` is None for a candidate: no choice may depend on the test images.

    `recipe` is the recipe's text; `parts` are other counts, by name.
    """

    name: str
    seed: int
    recipe: str
    parameters: int
    seconds: float
    validation: float
    validation_nll: float
    test: Measured | None
    parts: dict[str, float]


Outcomes = dict[str, Outcome]
"""Outcomes by the cell's key."""


@dataclass(frozen=True)
class Cell:
    """A model to train: one seed of a row of the table.

    name: the row.
    recipe: the settings, with the seed.
    role: "teacher", "baseline" (labels alone) or "student".
    teacher: the row whose model of the same seed teaches, or with which a baseline is compared; it is trained in an
    earlier stage.
    against: the rows with which this row is compared by McNemar's test.
    candidate: the cell is only trained to choose settings, and measured on validation images.
    change: a function that changes the training data in ways that a recipe cannot express; it gets the data, the recipe
    and the experiment's folder.
    look: a function of the test logits (N, K) that gives the outcome's `parts`.
    ensemble: the keys of the cells that teach together, instead of `teacher`.
    """

    name: str
    recipe: Recipe
    role: str
    teacher: str = ""
    against: tuple[str, ...] = ()
    candidate: bool = False
    change: Callable[[Data, Recipe, Path], Data] | None = None
    look: Callable[[Job, Sequential, Floats], dict[str, float]] | None = None
    ensemble: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return self.recipe.seed

    @property
    def key(self) -> str:
        """The cell's unique name, also of its files."""
        return key_of(self.name, self.seed)

    @property
    def taught_by(self) -> tuple[str, ...]:
        """The keys of the teacher's cells, which a baseline is compared with."""
        return self.ensemble or ((key_of(self.teacher, self.seed),) if self.teacher else ())

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the cells that must end before this one starts."""
        return self.taught_by if self.role == "student" else ()


def key_of(name: str, seed: int) -> str:
    """Return a cell's key, a name that is valid on any file system."""
    return f"{re.sub(r'[^A-Za-z0-9.=+-]+', '_', name)}-seed{seed}"


def run_cell(cell: Cell, folder: Path) -> Outcome:
    """Train a cell's model on one thread, measure it, and write its outcome to the experiment's folder."""
    found = train(cell, folder)
    write_json(folder / "cells" / f"{cell.key}.json", found)
    return found


def train(cell: Cell, folder: Path) -> Outcome:
    """Train a cell like the main job: the same initial weights, the same batches, the same bits."""
    recipe = cell.recipe
    if cell.needs:
        first, *others = (str(folder / "cells" / key / "teacher.safetensors") for key in cell.needs)
        recipe = replace(
            recipe,
            teacher=replace(recipe.teacher, weights=first),
            distillation=replace(recipe.distillation, ensemble=tuple(others)),
        )
    place = RunFolder(folder / "cells" / cell.key, patience=PATIENCE)
    data, given = prepared(recipe)
    if cell.change:
        data = cell.change(data, recipe, folder)
    with Job(recipe, place, (data, given), threads=1, teacher_cache=folder / "answers") as job:
        for stage in job.stages(*(job.distilled_names if cell.role == "student" else [ROLES[cell.role]])):
            with job.training(stage):
                fit(stage.model, stage.views, stage.objective, stage.plan, stage.callbacks, job.threads)
        return outcome(cell, job)


def outcome(cell: Cell, job: Job) -> Outcome:
    """Measure the cell's model of a job."""
    model = job.models[ROLES[cell.role]]
    rows = [row for row in job.history if row["model"] == ROLES[cell.role]]
    if not rows:
        raise CheckpointError(f"{job.folder} has weights, but no history of them; remove it, and the cell runs again")
    last = rows[-1]
    if last["evaluated_on"] != "validation":
        raise ConfigError(f"{cell.name} holds out no images, but an experiment needs them: set validation above 0")
    logits = None if cell.candidate else test_logits(model, job.data.test)
    return Outcome(
        name=cell.name,
        seed=cell.seed,
        recipe=cell.recipe.to_toml(),
        parameters=model.size,
        seconds=sum(float(row["seconds"]) for row in job.history),
        validation=1 - float(last["accuracy"]),
        validation_nll=float(last["nll"]),
        test=None if logits is None else measured(logits, job.data.test.labels),
        parts=cell.look(job, model, logits) if cell.look and logits is not None else {},
    )


def test_logits(model: Sequential, test: Views) -> Floats:
    """Return a finished model's test logits. This is the only time that it is evaluated on the test images."""
    with workers(1) as map_:
        return logits_of(model, test, map_)


def measured(logits: Floats, labels: Ints) -> Measured:
    """Return the results of a model's test logits."""
    predictions = logits.argmax(axis=1)
    return Measured(
        errors=metrics.errors(logits, labels),
        images=len(labels),
        nll=metrics.nll(logits, labels),
        ece=metrics.ece(logits, labels),
        predictions=[int(one) for one in predictions],
        wrong=[int(one) for one in np.flatnonzero(predictions != labels)],
    )


def read_outcome(cell: Cell, folder: Path) -> Outcome | None:
    """Return a cell's outcome; None if it has not ended.

    Raises CheckpointError for a broken file, and ConfigError for the outcome of another recipe with this name.
    """
    path = path_of(cell, folder / "cells")
    found = read_table(path, Outcome, FIX)
    if found and not is_whole(found["test"]):
        raise CheckpointError(f"{path} is broken (its predictions, errors and images do not agree); {FIX}")
    if found and Recipe.from_toml(found["recipe"], str(path)) != cell.recipe:
        raise ConfigError(f"{path} is of another recipe than {cell.name} has now; choose another folder with --folder")
    return None if found is None else Outcome({**found, "name": cell.name})


def path_of(cell: Cell, cells: Path) -> Path:
    """Return the path of a cell's outcome, under its key or under a baseline's key of an earlier version."""
    keys = [cell.key, *(cell.key.replace("baseline", word) for word in WORDS_BEFORE)]
    return next((path for key in keys if (path := cells / f"{key}.json").exists()), cells / f"{cell.key}.json")


def is_whole(test: Measured | None) -> bool:
    """Return whether there is a prediction for each image, and each error is the index of an image."""
    return test is None or (
        len(test["predictions"]) == test["images"]
        and len(test["wrong"]) == test["errors"]
        and all(0 <= number < test["images"] for number in test["wrong"])
    )
