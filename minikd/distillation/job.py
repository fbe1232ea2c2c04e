"""The main job: train a teacher, then two students, one on the labels alone (the baseline), one distilled.

Both students start from the same weights, see the same batches, and get the same number of steps: what is left between
them is what the teacher gave. (Where some images have no labels, the baseline sees those that have instead, over and
over.) Each stage leaves its weights in the run's folder, so a run that was stopped goes on with the first stage that is
not there yet, from its checkpoint.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from minikd.backends import choose
from minikd.console.notices import notice
from minikd.data import Views
from minikd.distillation import networks, outlook
from minikd.distillation.folder import CONFIG, RunFolder
from minikd.distillation.history import read_history, write_history
from minikd.distillation.measure import watch
from minikd.distillation.recipe import Recipe, Training, sealed
from minikd.distillation.search import searched
from minikd.distillation.teacher import answers
from minikd.errors import CheckpointError, Diverged, RanAway
from minikd.methods import Labels, Pair, Teacher, check
from minikd.nn import Sequential
from minikd.nn.folding import folded
from minikd.storage.files import write_atomically
from minikd.training import Watcher, fit
from minikd.training.checkpoints import Row
from minikd.training.identity import changes, digest_of, identity_of
from minikd.training.objective import Objective
from minikd.training.parallel import workers
from minikd.weights import load_model, save_model, stage_of

LOWER = 4.0
"""By how much a learning rate is divided whose loss ran away."""


class Job:
    """A run of a recipe in a folder, on so many threads (default: all cores), which holds the folder until its end.

    teacher_cache: a folder where several runs may share their teachers' answers, see `distillation.teacher_cache`.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path | RunFolder,
        watcher: Watcher | None = None,
        threads: int | None = None,
        teacher_cache: Path | None = None,
    ) -> None:
        self.recipe, self.watcher, self.teacher_cache = recipe, watcher, teacher_cache
        self.place = folder if isinstance(folder, RunFolder) else RunFolder(folder)
        self.backend, self.method = choose(recipe.backend), recipe.distillation.chosen
        self.data, self.given = networks.prepared(recipe)
        self.make_networks()
        self.threads = threads if self.backend.name == "numpy" else 1  # one where a device does the work
        self.data.card("model")  # refuses class names that no weights file may hold, and not when the training is over
        # What can be refused has been refused by now; only then does anything appear on the disk.
        self.place.claim(sealed(recipe))
        try:
            self.history: list[Row] = read_history(self.folder / "history.csv")
        except BaseException:
            self.place.release()
            raise
        self.tell_plan()
        self.note(f"run folder: {self.folder}")

    def make_networks(self) -> None:
        """Make the networks that the recipe asks for, and refuse what cannot be trained."""
        recipe, given = self.recipe, bool(self.recipe.teacher.weights)
        self.first_teacher = self.given[0].model if given else networks.first_teacher(recipe, self.data.dataset)
        self.first_student = networks.first_student(recipe, self.data.dataset)
        for pair in networks.pairs(recipe, self.data, self.given):
            check(self.method, pair)
        networks.check_batches(recipe, self.data, self.first_student)

    def tell_plan(self) -> None:
        """Tell the watcher how much work there is, once that is known."""
        if isinstance(self.watcher, outlook.Planned) and not self.recipe.search:
            self.watcher.plan(outlook.work(self.recipe, self.data, self.first_teacher))

    def search(self, *sections: str) -> None:
        """Find the settings of these sections that the recipe looks for, and write them into config.toml."""
        if any(name.split(".")[0] in sections for name in self.recipe.search):
            macs = self.first_teacher.macs(self.data.dataset.image_shape) if self.recipe.teacher.weights else None
            self.change(searched(self.recipe, self.data, macs, self.folder, self.note, sections))

    def change(self, recipe: Recipe) -> None:
        """Go on by another recipe, which config.toml holds from here on."""
        self.recipe = recipe
        self.make_networks()
        write_atomically(self.folder / CONFIG, sealed(recipe).encode())
        self.tell_plan()

    def step_back(self, error: RanAway) -> None:
        """Lower the learning rate of a stage whose loss ran away, and forget what was trained by the higher one.

        Both students are trained by the same settings, so both start again.
        """
        teacher = error.stage == "teacher"
        whose = "the teacher starts" if teacher else "both students start"
        how = self.recipe.teacher if teacher else self.recipe.student
        calm = replace(how, learning_rate=how.learning_rate / LOWER, clip_norm=how.clip_norm or 1.0)
        notice(
            f"{error.stage.replace('_', ' ')}: its loss ran away; {whose} again with learning rate "
            f"{calm.learning_rate:g} instead of {how.learning_rate:g}, and gradients of at most norm {calm.clip_norm:g}"
        )
        stages = {"teacher"} if teacher else {path.stem for path in self.folder.glob("*.*")} - {"teacher"}
        for name in stages:
            for suffix in ("safetensors", "checkpoint"):
                (self.folder / f"{name}.{suffix}").unlink(missing_ok=True)
        self.history = [row for row in self.history if row["model"] not in stages]
        write_history(self.folder / "history.csv", self.history)
        self.change(self.recipe.with_section(calm))

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.place.path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.place.release(failed=isinstance(error, Exception), diverged=isinstance(error, Diverged))

    def teacher(self) -> Sequential:
        """Return the teacher: trained, taken from the folder, or given."""
        how = self.recipe.teacher
        if not how.weights:
            settings = {"label_smoothing": how.label_smoothing}
            objective = Labels(how.label_smoothing)
            return self.stage("teacher", self.first_teacher, how, self.data.train, lambda _: objective, settings)
        path, model = self.folder / "teacher.safetensors", self.given[0].model
        stage = json.dumps({"name": "teacher", "weights": digest_of(model)})
        if path.exists():
            check_stage(path, stage)
        else:
            save_model(path, model, self.data.card("teacher"), stage)
        return model.to(self.backend)

    def baseline(self) -> Sequential:
        """Return the student trained on the labels alone."""
        how = self.recipe.student
        return self.stage("student_baseline", self.first_student.copy(), how, self.data.train, lambda _: Labels(), {})

    def models(self) -> dict[str, Sequential]:
        """Return the teacher and both students."""
        teacher = self.teacher()
        return {"teacher": teacher, "student_baseline": self.baseline(), "student_distilled": self.distilled(teacher)}

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
                return answers(teachers, views, map_, layers, temperature, self.teacher_cache)

        def objective(student: Sequential) -> Objective:
            pair = Pair(student, teachers, self.data.dataset.image_shape, self.data.all_labelled)
            return self.method.objective(pair, ask, np.random.default_rng((self.recipe.seed, networks.EXTRA)))

        taught = self.recipe.distillation
        own = {f"{taught.method}.{name}": value for name, value in taught.method_args.items()}
        settings = {"method": taught.method, **own, "teachers": [digest_of(one) for one in teachers]}
        return self.stage(name, model, how, views, objective, settings)

    def note(self, text: str) -> None:
        """Tell the watcher, if there is one, what is under way."""
        if self.watcher:
            self.watcher.note(text)

    def stage(
        self,
        name: str,
        model: Sequential,
        how: Training,
        views: Views,
        objective: Callable[[Sequential], Objective],
        settings: Mapping[str, object],
    ) -> Sequential:
        """Return the model of a stage: from the folder where the stage is finished, else trained to its end.

        settings: what the objective is made of. Raises CheckpointError where the folder's model is one of other
        settings or data.
        """
        path, checkpoint = self.folder / f"{name}.safetensors", self.folder / f"{name}.checkpoint"
        views, plan = replace(views, augmentation=how.augmentation), how.plan(self.recipe.seed)
        settings = {**settings, "class_names": self.data.dataset.class_names}
        stage = identity_of(name, model, views, asdict(plan), settings)
        if path.exists():
            check_stage(path, stage)
            checkpoint.unlink(missing_ok=True)  # where it was killed before it did that itself
            left = networks.Given(*load_model(path), str(path))  # what says no stage may count its classes otherwise
            return networks.in_order(left, self.data.dataset).model.to(self.backend)
        model = model.to(self.backend)
        others = [row for row in self.history if row["model"] != name]

        def record(rows: list[Row]) -> None:
            self.history = others + rows
            write_history(self.folder / "history.csv", self.history)

        try:
            fit(
                model,
                views,
                objective(model),
                plan,
                name=name,
                evaluate=lambda model, map_: watch(model, self.data.watched, self.data.watched_name, map_),
                watcher=self.watcher,
                checkpoint=checkpoint,
                after_epoch=record,
                settings=settings,
                threads=self.threads,
            )
        except Diverged as error:
            section = "teacher" if name == "teacher" else "student"
            flags = f"--{section}-learning-rate, --{section}-clip-norm 1"
            raise RanAway(name, f"{error}; on the command line: {flags}") from error
        finished = folded(model)
        save_model(path, finished, self.data.card(name), stage)
        checkpoint.unlink(missing_ok=True)
        return finished


def check_stage(path: Path, stage: str) -> None:
    """Refuse the weights of a stage that something else has decided than now; what an earlier version left is taken."""
    found = stage_of(path)
    if not found:
        notice(f"{path} is of an earlier version of minikd and does not say how it was trained; it is used as it is")
    elif told := changes(found, stage):
        raise CheckpointError(
            f"{path} was trained otherwise: {told}; restore that, remove this file and what was trained after it to "
            "train them anew, or start afresh under another --name"
        )
