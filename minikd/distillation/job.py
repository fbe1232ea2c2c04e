"""The main job: train a teacher, then two students, one on the labels alone (the control), one distilled.

Both students start from the same weights, see the same batches, and get the same number of steps: what is left between
them is what the teacher gave. (Where some images have no labels, the control sees those that have instead, over and
over.) Each stage leaves its weights in the run's folder, so a run that was stopped goes on with the first stage that is
not there yet, from its checkpoint.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from minikd.backend import choose
from minikd.checkpoints import Row
from minikd.data import Views
from minikd.distillation import networks
from minikd.distillation.history import read_history, write_history
from minikd.distillation.measure import watch
from minikd.distillation.recipe import Recipe, Training, sealed
from minikd.distillation.teacher import answers
from minikd.errors import ConfigError
from minikd.files import write_atomically
from minikd.methods import Labels, Pair, Teacher, check
from minikd.nn import Sequential
from minikd.nn.folding import folded
from minikd.objective import Objective
from minikd.parallel import workers
from minikd.training import Watcher, fit
from minikd.weights import load_model, save_model


class Job:
    """A run of a recipe in a folder, on so many threads (default: all cores).

    kept: a folder where several runs may share their teachers' answers, see `distillation.kept`.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        watcher: Watcher | None = None,
        threads: int | None = None,
        kept: Path | None = None,
    ) -> None:
        self.recipe, self.folder, self.watcher, self.kept = recipe, folder, watcher, kept
        self.backend, self.method = choose(recipe.backend), recipe.distillation.chosen
        self.data, self.given = networks.prepared(recipe)
        self.history: list[Row] = read_history(folder / "history.csv")
        given = bool(recipe.teacher.weights)
        self.first_teacher = self.given[0].model if given else networks.first_teacher(recipe, self.data.dataset)
        self.first_student = networks.first_student(recipe, self.data.dataset)
        for pair in networks.pairs(recipe, self.data, self.given):
            check(self.method, pair)
        networks.check_batches(recipe, self.data, self.first_student)
        self.threads = threads if self.backend.name == "numpy" else 1  # one where a device does the work
        self.data.card("model")  # refuses class names that no weights file may hold, and not when the training is over
        # What can be refused has been refused by now; only then does anything appear on the disk.
        make_folder(folder, recipe)
        self.note(f"run folder: {folder}")

    def teacher(self) -> Sequential:
        """Return the teacher: trained, taken from the folder, or given."""
        how = self.recipe.teacher
        if how.weights:
            save_model(self.folder / "teacher.safetensors", self.given[0].model, self.data.card("teacher"))
        return self.stage("teacher", self.first_teacher, how, self.data.train, lambda _: Labels(how.label_smoothing))

    def baseline(self) -> Sequential:
        """Return the student trained on the labels alone."""
        how = self.recipe.student
        return self.stage("student_baseline", self.first_student.copy(), how, self.data.train, lambda _: Labels())

    def distilled(self, teacher: Sequential) -> Sequential:
        """Return the student taught by the recipe's method; an assistant and earlier generations are taught before."""
        others = self.given[1:] if self.recipe.teacher.weights else self.given
        teachers: Sequence[Sequential] = (teacher, *(other.model.to(self.backend) for other in others))
        for name, model in networks.taught(self.recipe, self.data.dataset).items():
            teachers = (self.taught_by(teachers, name, model),)
        return teachers[0]

    def taught_by(self, teachers: Sequence[Sequential], name: str, model: Sequential) -> Sequential:
        """Return the model of a stage, taught by these teachers."""
        how = self.recipe.student
        views = replace(self.data.transfer, augmentation=how.augmentation)

        def ask(layers: tuple[str, ...], temperature: float) -> Teacher:
            if how.augmentation is None:
                self.note("the teacher looks at every training image once ...")
            with workers(self.threads) as map_:
                return answers(teachers, views, map_, layers, temperature, self.kept)

        def objective(student: Sequential) -> Objective:
            pair = Pair(student, teachers, self.data.dataset.image_shape, self.data.all_labelled)
            return self.method.objective(pair, ask, np.random.default_rng((self.recipe.seed, networks.OWN)))

        return self.stage(name, model, how, views, objective)

    def note(self, text: str) -> None:
        """Tell the watcher, if there is one, what is under way."""
        if self.watcher:
            self.watcher.note(text)

    def stage(
        self, name: str, model: Sequential, how: Training, views: Views, objective: Callable[[Sequential], Objective]
    ) -> Sequential:
        """Return the model of a stage: from the folder where the stage is finished, else trained to its end."""
        path, checkpoint = self.folder / f"{name}.safetensors", self.folder / f"{name}.checkpoint"
        if path.exists():
            return load_model(path)[0].to(self.backend)
        model = model.to(self.backend)
        others = [row for row in self.history if row["model"] != name]

        def record(rows: list[Row]) -> None:
            self.history = others + rows
            write_history(self.folder / "history.csv", self.history)

        fit(
            model,
            replace(views, augmentation=how.augmentation),
            objective(model),
            how.plan(self.recipe.seed),
            name=name,
            evaluate=lambda model, map_: watch(model, self.data.watched, self.data.watched_name, map_),
            watcher=self.watcher,
            checkpoint=checkpoint,
            after_epoch=record,
            settings=repr(self.recipe),
            threads=self.threads,
        )
        finished = folded(model)
        save_model(path, finished, self.data.card(name))
        checkpoint.unlink(missing_ok=True)
        return finished


def make_folder(folder: Path, recipe: Recipe) -> None:
    """Make the run's folder with its recipe in it, unless it is there. Raises ConfigError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error}); choose another place with --runs") from error
    if not (folder / "config.toml").exists():
        write_atomically(folder / "config.toml", sealed(recipe).encode())
