"""The main job: train a teacher, then two students, one on the labels alone (the baseline), one distilled.

Both students start from the same weights, see the same batches, and get the same number of steps. So the only
difference between them is the teacher. (If some images have no labels, the baseline sees the images with labels more
often instead.) Each stage writes its weights to the run's folder. So a stopped run continues with the first stage
without weights, from its checkpoint.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from minikd.backends import choose, module_of
from minikd.compression.job import Compressor
from minikd.console.notices import notice
from minikd.data import Views
from minikd.distillation import networks, outlook
from minikd.distillation.folder import CONFIG, RunFolder
from minikd.distillation.history import read_history, write_history
from minikd.distillation.measure import evaluate_epoch
from minikd.distillation.recipe import Recipe, Training, sealed
from minikd.distillation.search import searched
from minikd.distillation.teacher import asking
from minikd.errors import CheckpointError, Diverged, RanAway
from minikd.methods import Labels, Pair, check
from minikd.nn import Sequential
from minikd.nn.folding import folded
from minikd.outside import file_digest
from minikd.storage.files import write_atomically
from minikd.training import Callback, Checkpoint, Evaluation, History, Plan
from minikd.training.callbacks import Callbacks
from minikd.training.checkpoints import Row
from minikd.training.identity import changes, digest_of, identity_of
from minikd.training.objective import Objective
from minikd.training.parallel import Map
from minikd.training.run import Run
from minikd.weights import load_model, save_model, stage_of

LOWER = 4.0
"""If the loss diverges, the learning rate is divided by this number."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A training of the job: the arguments of `fit`, the model's name, and the identity for its weights file."""

    name: str
    model: Sequential
    views: Views
    objective: Objective
    plan: Plan
    callbacks: Sequence[Callback]
    identity: str


@dataclass(frozen=True)
class StepsRecorder(Callback):
    """Records in a table how a device took a model's steps: as CUDA graphs, or kernel by kernel and why."""

    table: dict[str, str]

    def on_end(self, run: Run) -> None:
        if module_of(run.vector) is not np:
            self.table[run.name] = f"one by one: {run.eager}" if run.eager else "CUDA graphs"


class Job:
    """A run of a recipe on its data, in a folder, on a number of threads (default: all cores).

        for stage in job.stages("teacher", "student_baseline"):
            with job.training(stage):
                fit(stage.model, stage.views, stage.objective, stage.plan, stage.callbacks, job.threads)

    prepared: the recipe's data and given teachers, see `networks.prepared`. models: the finished models by name.
    teacher_cache: a folder in which several runs may share their teachers' outputs, see `distillation.teacher_cache`.
    The job keeps the run's folder locked until it ends.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path | RunFolder,
        prepared: networks.Prepared,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None,
        teacher_cache: Path | None = None,
    ) -> None:
        self.recipe, self.callbacks, self.teacher_cache = recipe, callbacks, teacher_cache
        self.place = folder if isinstance(folder, RunFolder) else RunFolder(folder)
        self.backend, self.method = choose(recipe.backend), recipe.distillation.chosen
        self.data, self.given = prepared
        self.models: dict[str, Sequential] = {}
        self.steps_back = 0
        self.steps: dict[str, str] = {}
        self.make_networks()
        self.threads = threads if self.backend.name == "numpy" else 1  # one thread if a device does the work
        self.data.card("model")  # refuses class names that no weights file may hold: now, not after the training
        # All checks have passed. Only now is something written to the disk.
        self.place.claim(sealed(recipe))
        try:
            self.history: list[Row] = read_history(self.folder / "history.csv")
        except BaseException:
            self.place.release()
            raise
        self.tell_plan()
        self.note(f"run folder: {self.folder}")

    def make_networks(self) -> None:
        """Make the networks of the recipe, and refuse those that cannot be trained."""
        recipe, given = self.recipe, bool(self.recipe.teacher.weights)
        self.first_teacher = self.given[0].model if given else networks.first_teacher(recipe, self.data.dataset)
        self.first_student = networks.first_student(recipe, self.data.dataset)
        self.compressor("student_distilled").check(self.first_student)
        for pair in networks.pairs(recipe, self.data, self.given):
            check(self.method, pair)
        networks.check_batches(recipe, self.data, self.first_student)

    def tell_plan(self) -> None:
        """Tell the callbacks that need it how much work there is, as soon as it is known."""
        for one in self.callbacks:
            if isinstance(one, outlook.PlannedCallback) and not self.recipe.search:
                one.plan(outlook.work(self.recipe, self.data, self.first_teacher))

    def search(self, *sections: str) -> None:
        """Search for the settings of these sections that the recipe leaves open, and write them into config.toml."""
        if any(name.split(".")[0] in sections for name in self.recipe.search):
            given = self.first_teacher if self.recipe.teacher.weights else None
            self.change(searched(self.recipe, self.data, given, self.folder, self.note, sections))

    def change(self, recipe: Recipe) -> None:
        """Continue with another recipe, and write it to config.toml."""
        self.recipe = recipe
        self.make_networks()
        write_atomically(self.folder / CONFIG, sealed(recipe).encode())
        self.tell_plan()

    def step_back(self, error: RanAway) -> None:
        """Lower the learning rate of a stage whose loss diverged, and drop what was trained with the higher one.

        Both students have the same settings, so both start again.
        """
        teacher = error.stage == "teacher"
        whose = "the teacher starts" if teacher else "both students start"
        how = self.recipe.teacher if teacher else self.recipe.student
        calm = replace(how, learning_rate=how.learning_rate / LOWER, clip_norm=how.clip_norm or 1.0)
        notice(
            f"{error.stage.replace('_', ' ')}: its loss ran away; {whose} again with learning rate "
            f"{calm.learning_rate:g} instead of {how.learning_rate:g}, and gradients of at most norm {calm.clip_norm:g}"
        )
        self.steps_back += 1
        stages = {"teacher"} if teacher else {path.stem for path in self.folder.glob("*.*")} - {"teacher"}
        for name in stages:
            for suffix in ("safetensors", "checkpoint"):
                (self.folder / f"{name}.{suffix}").unlink(missing_ok=True)
        self.models = {} if teacher else {"teacher": self.models["teacher"]}
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

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the job's models, in the order of their training."""
        return ("teacher", "student_baseline", *self.distilled_names)

    @property
    def distilled_names(self) -> tuple[str, ...]:
        """The names of the distilled models, in order: an assistant, earlier generations, the distilled student."""
        return tuple(networks.distilled_networks(self.recipe, self.data.dataset))

    def compressor(self, name: str) -> Compressor:
        """Return how a stage's network is compressed."""
        return Compressor.of(self.recipe, self.data.dataset, self.data.card(name))

    def note(self, text: str) -> None:
        """Tell the callbacks what the job is doing."""
        Callbacks(self.callbacks).note(text)

    def stages(self, *names: str) -> Iterator[Stage]:
        """Yield the stages with these names that must be trained, in the job's order.

        Each comes when the last has ended.

        Models that are in the folder are loaded instead. Raises CheckpointError if they have other settings or data.
        """
        while name := next((one for one in self.names if one in names and one not in self.models), ""):
            if name == "teacher" and self.recipe.teacher.weights:
                self.models[name] = self.given_teacher()
                continue
            model, how, views, settings = self.described(name)
            views, plan = replace(views, augmentation=how.augmentation), how.plan(self.recipe.seed)
            small = self.compressor(name)
            settings = {**settings, **small.settings, "class_names": self.data.dataset.class_names}
            identity = identity_of(name, model, views, asdict(plan), settings)
            if found := self.finished(name, identity):
                self.models[name] = found
                continue
            model = small.before(model, views, plan).to(self.backend)
            checkpoint = Checkpoint(self.folder / f"{name}.checkpoint", identity)
            callbacks = (self.history_of(name), checkpoint, StepsRecorder(self.steps), *self.callbacks)
            yield Stage(name, model, views, self.objective(name, model, views), plan, callbacks, identity)

    @contextmanager
    def training(self, stage: Stage) -> Iterator[None]:
        """After the training, write the stage's weights to the folder. Raises RanAway if the loss diverges."""
        try:
            yield
        except Diverged as error:
            section = "teacher" if stage.name == "teacher" else "student"
            flags = f"--{section}-learning-rate, --{section}-clip-norm 1"
            raise RanAway(stage.name, f"{error}; on the command line: {flags}") from error
        small, path = self.compressor(stage.name), self.folder / f"{stage.name}.safetensors"
        model = folded(small.after(stage.model))
        save_model(path, model, self.data.card(stage.name), stage.identity)
        path.with_suffix(".checkpoint").unlink(missing_ok=True)
        self.models[stage.name] = small.finished_student(model)

    def described(self, name: str) -> tuple[Sequential, Training, Views, Mapping[str, object]]:
        """Return a stage's model before its training, the plan, the views, and the settings of its objective."""
        recipe, data = self.recipe, self.data
        if name == "teacher":
            return self.first_teacher, recipe.teacher, data.train, {"label_smoothing": recipe.teacher.label_smoothing}
        if name == "student_baseline":
            return self.first_student.copy(), recipe.student, data.train, {}
        how = recipe.distillation
        settings = {f"{how.label}.{one}": value for one, value in how.method_args.items()}
        if how.method_digest:
            settings["method_file"] = file_digest(how.method)
        if how.min_uncertainty:
            settings["min_uncertainty"] = how.min_uncertainty
        teachers = [digest_of(one) for one in self.teachers_of(name)]
        model = networks.distilled_networks(recipe, data.dataset)[name]
        return model, recipe.student, data.transfer, {"method": how.label, **settings, "teachers": teachers}

    def objective(self, name: str, model: Sequential, views: Views) -> Objective:
        """Return the objective of a stage."""
        if name not in self.distilled_names:
            return Labels(self.recipe.teacher.label_smoothing if name == "teacher" else 0.0)
        teachers = self.teachers_of(name)
        ask = asking(
            teachers, views, self.callbacks, self.threads, self.teacher_cache, self.recipe.distillation.min_uncertainty
        )
        pair = Pair(model, teachers, self.data.dataset.image_shape, self.data.all_labelled)
        return self.method.objective(pair, ask, np.random.default_rng((self.recipe.seed, networks.EXTRA)))

    def teachers_of(self, name: str) -> Sequence[Sequential]:
        """Return the teachers of a model: the teacher and those of its ensemble, or the model distilled before it."""
        before = self.distilled_names[: self.distilled_names.index(name)]
        if before:
            return (self.models[before[-1]],)
        given = [one.model.to(self.backend) for one in self.given]
        if not self.recipe.teacher.weights:
            return (self.models["teacher"], *given)
        return (self.models.get("teacher", given[0]), *given[1:])

    def history_of(self, name: str) -> History:
        """Return the history of a stage. In history.csv it comes after the others."""
        others = [row for row in self.history if row["model"] != name]

        def evaluate(model: Sequential, map_: Map) -> Evaluation:
            return evaluate_epoch(model, self.data.watched, self.data.watched_name, map_)

        def record(rows: list[Row]) -> None:
            self.history = others + rows
            write_history(self.folder / "history.csv", self.history)

        return History(name, evaluate, record)

    def finished(self, name: str, identity: str) -> Sequential | None:
        """Return a stage's model from the folder, or None if it is not there."""
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            return None
        check_stage(path, identity)
        path.with_suffix(".checkpoint").unlink(missing_ok=True)  # a killed run may have left it
        left = networks.LoadedModel(*load_model(path), str(path))  # its classes may be in another order
        model = networks.in_order(left, self.data.dataset).model
        return self.compressor(name).finished_student(model).to(self.backend)

    def given_teacher(self) -> Sequential:
        """Return the teacher that the recipe gives, and write it to the folder as if it had been trained here."""
        path, model = self.folder / "teacher.safetensors", self.given[0].model
        identity = json.dumps({"name": "teacher", "weights": digest_of(model)})
        if path.exists():
            check_stage(path, identity)
        else:
            save_model(path, model, self.data.card("teacher"), identity)
        return model.to(self.backend)


def check_stage(path: Path, stage: str) -> None:
    """Refuse weights of a stage with another identity than now.

    Weights without one, of an earlier version, are accepted.
    """
    found = stage_of(path)
    if not found:
        notice(f"{path} is of an earlier version of minikd and does not tell how it was trained; it is used as it is")
    elif told := changes(found, stage):
        raise CheckpointError(
            f"{path} was trained with other settings: {told}; restore them, or remove this file and what was trained "
            "after it to train again, or start a new run with another --name"
        )
