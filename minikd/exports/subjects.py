"""Finds what to export: the models of a run's folder, or of one weights file, with their data."""

import difflib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from minikd.data import Dataset, load_dataset
from minikd.distillation.folder import CONFIG
from minikd.distillation.recipe import Recipe, read_recipe, size_of
from minikd.errors import ConfigError
from minikd.exports.integer import NONE
from minikd.nn import Sequential
from minikd.weights import Card, load_model

SHOWN = 3
"""The number of runs that a message lists."""

FILES = {"teacher": "teacher", "baseline": "student_baseline", "student": "student_distilled"}
"""The models of a run by their names on the command line, and their weights files."""

STUDENTS = ("baseline", "student")
"""The models that a recipe can train for whole numbers."""


@dataclass(frozen=True, eq=False)
class Subjects:
    """Models by name, with their cards; the folder for their exports; and the run's recipe, if they are from a run."""

    models: dict[str, tuple[Sequential, Card]]
    folder: Path
    recipe: Recipe | None

    def data(self, source: str | None) -> Dataset:
        """Return the data set with this name or path. By default it is the run's, or MNIST."""
        if self.recipe:
            return load_dataset(source or self.recipe.data, size_of(self.recipe.image_size))
        return load_dataset(source or "mnist")

    def trained_for(self, name: str) -> str:
        """Return the kind of whole numbers that a model was trained for, or "none" for float32."""
        return self.recipe.quantize if self.recipe and name in STUDENTS else NONE

    @property
    def temperature(self) -> float | None:
        """The temperature of the run's soft targets."""
        return self.recipe.distillation.chosen.temperature if self.recipe else None


def subjects(path: Path, model: str | None) -> Subjects:
    """Return the models at a path, which is a run's folder or a weights file: all, or the run's model with this name.

    Raises ConfigError if there is none, and CheckpointError for a file that cannot be read.
    """
    if path.is_dir():
        return of_run(path, model)
    if not path.exists():
        raise absent(path)
    if model:
        raise ConfigError(
            f"--model {model} names a model of a run, but {path} is not the folder of a run; leave it out"
        )
    found = load_model(path, "float32")
    config = path.parent / "config.toml"
    recipe = read_recipe(config) if config.exists() else None
    known = {file: name for name, file in FILES.items()}
    name = known.get(path.stem) or re.sub(r"[^\w-]", "_", path.stem, flags=re.ASCII)
    return Subjects({name: found}, path.parent / "export", recipe)


def absent(path: Path, runs: Path = Path("runs")) -> ConfigError:
    """Return the error for a path that does not exist. It lists the runs that exist."""
    configs = sorted(runs.glob(f"[!.]*/{CONFIG}"), key=lambda one: one.stat().st_mtime, reverse=True)
    names = [one.parent.name for one in configs]
    near = [name for name in names if path.name and path.name in name] or difflib.get_close_matches(path.name, names)
    if not names:
        return ConfigError(f"{path} is not there, and {runs}/ holds no run; make one with minikd distill")
    shown = ", ".join(shlex.quote(str(runs / name)) for name in (near or names)[:SHOWN])
    hint = f"did you mean {shown}?" if near else f"the newest runs are {shown}"
    return ConfigError(f"{path} is not there; {hint}")


def of_run(folder: Path, model: str | None) -> Subjects:
    """Return the models of a run's folder."""
    files = {name: folder / f"{file}.safetensors" for name, file in FILES.items()}
    there = {name: file for name, file in files.items() if file.exists()}
    if not there:
        raise ConfigError(f"{folder} holds no weights of a run; give a folder that minikd distill has written")
    if model and model not in there:
        raise ConfigError(f"{folder} has no {model}, only {', '.join(there)}; choose one of them with --model")
    chosen = {model: there[model]} if model else there
    found = {name: load_model(file, "float32") for name, file in chosen.items()}
    config = folder / "config.toml"
    recipe = read_recipe(config) if config.exists() else None
    return Subjects(found, folder / "export", recipe)
