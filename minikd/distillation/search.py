"""Searches for settings that no rule gives: before a run, it tries a few of them on held-out training images.

Each candidate is trained for a part of its budget and measured on images that it has not seen. The better half is
trained for longer and measured on other images (successive halving: Jamieson & Talwalkar 2016, Non-stochastic best arm
identification). Candidates are compared by their Brier score, the mean squared distance of the probabilities from the
label's one-hot row. With few images, it tells more than the number of errors. And a single confident mistake
does not decide the choice.

A fifth of a small set is too few images for a choice, so a third is held out. If that is too few as well, each third is
held out in turn (threefold cross-validation), so each image is used once. For a small set, the search takes up to twice
as long as the training that follows; for a larger set, about as long.

The students get the settings that are best for training on the labels only, so that the baseline is as good as
possible. The teacher's network is one of `TEACHERS`. If none of them is better than the student on held-out images, the
search tries a wide dense network and more steps, and the run reports the result.

The search uses no test images and no clock, so the seed and the data determine every setting.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from minikd import metrics
from minikd.backends import choose, module_of
from minikd.console import units as units_of
from minikd.console.notices import notice
from minikd.data import Views
from minikd.distillation import budgets, networks
from minikd.distillation.budgets import Settings
from minikd.distillation.held_out import held_out, splits
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import SECTIONS, Recipe, Training
from minikd.errors import Diverged, MinikdError
from minikd.methods import Labels
from minikd.nn import Sequential
from minikd.settings import Section, with_values
from minikd.storage.jsonfiles import read_table, write_json
from minikd.training import fit
from minikd.training.identity import digest
from minikd.training.inference import logits_of
from minikd.training.parallel import workers
from minikd.typing import Ints

FILE = "search.json"
FIX = "remove it, and the search starts again"

SHARES = (1 / 6, 1 / 3)
"""The fraction of its budget that a candidate is trained for, in each round."""

FOLD = 0.5
"""The fraction of a round's training for each of the three folds. Together they take one and a half times as long."""

FINALISTS = 2
"""If there are at most this many candidates, none is dropped before the last round."""

TEACHERS = ("cnn", "vgg")
"""The networks that are tried as the teacher."""

LARGER = 1.1
"""A student with more than this many times the smallest teacher's weights gets fewer hidden units."""

FEWEST_UNITS = 32
"""The fewest hidden units that a student gets."""

DEAR = 3e7
"""A network with more multiply-adds for an image than this is not tried if there is a cheaper one."""

STUDENT_RATES = (2e-3, 5e-3)
"""Learning rates that are tried for the students."""


class Trial(TypedDict):
    """The training of a candidate: its name, the round, and its results on the held-out images."""

    key: str
    errors: int
    images: int
    brier: float


class Record(TypedDict):
    """search.json: the trials so far, and a digest of the data and settings that are the same for all."""

    identity: str
    trials: list[Trial]


@dataclass(frozen=True)
class Candidate:
    """Settings of a section of the recipe, and their name."""

    name: str
    settings: Settings


class Search:
    """The search of a run.

    recipe: its `search` names the settings to search for. teacher: the given teacher, or None if one will be trained.
    folder: where the record is written; None if nothing is tried and only the rules decide. note: called for each
    trial.
    """

    def __init__(
        self, recipe: Recipe, data: Data, teacher: Sequential | None, folder: Path | None, note: Callable[[str], None]
    ) -> None:
        self.recipe, self.data, self.teacher, self.folder, self.note = recipe, data, teacher, folder, note
        images, labels = data.train.images[: data.labelled], data.train.labels[: data.labelled]
        self.known = replace(data.train, images=images, labels=labels)  # each labelled image once
        self.held = held_out(labels) if folder else 0
        self.identity = digest(images, labels, what=repr(replace(recipe, data="", backend="auto")))
        found = read_record(folder) if folder else None
        self.trials = found["trials"] if found and found["identity"] == self.identity else []

    def students(self) -> tuple[Candidate, Trial | None]:
        """Return the best settings for training on the labels only, without the number of epochs."""
        hidden = self.hidden()
        macs = self.student(hidden).macs(self.data.dataset.image_shape)
        common = {**budgets.student_settings(len(self.data.transfer), macs, 1, varied=False), "hidden": hidden}
        rates = STUDENT_RATES if "student.learning_rate" in self.recipe.search else (self.recipe.student.learning_rate,)
        return self.best(
            "student",
            [
                Candidate(f"rate {rate:g}{name}", {**common, "learning_rate": rate, **settings})
                for rate in rates
                for name, settings in self.augmentations("student")
            ],
        )

    def hidden(self) -> tuple[int, ...]:
        """Return the student's hidden units. If it would be larger than every teacher, they are halved or quartered.

        A dense layer has a weight for every pixel, so for large colour images the student can have more weights than a
        CNN.
        """
        units = whole = self.recipe.student.hidden
        if "student.hidden" not in self.recipe.search or self.recipe.student.model != "mlp":
            return whole
        least = min((one.size for one in self.possible_teachers()), default=math.inf)
        while self.student(units).size > LARGER * least and min(units) // 2 >= FEWEST_UNITS:
            units = tuple(one // 2 for one in units)
        if units != whole:
            notice(self.told_size(units, whole, least))
        return units

    def told_size(self, units: tuple[int, ...], whole: tuple[int, ...], teacher: float) -> str:
        """Return the notice for a student that gets fewer units."""
        before, now = (units_of.count(self.student(one).size) for one in (whole, units))
        return (
            f"the students get {units[0]} hidden units and {now} weights: with {whole[0]} units they would have "
            f"{before}, the teacher has {units_of.count(teacher)}; --student-hidden {whole[0]} keeps {whole[0]}"
        )

    def student(self, hidden: tuple[int, ...]) -> Sequential:
        """Return a student with this number of hidden units."""
        student = replace(self.recipe.student, hidden=hidden)
        return networks.first_student(self.recipe.with_section(student), self.data.dataset)

    def possible_teachers(self) -> list[Sequential]:
        """Return the given teacher, or those of the networks to try that can take the images."""
        if self.teacher:
            return [self.teacher]
        found = []
        for model in TEACHERS if "teacher.model" in self.recipe.search else (self.recipe.teacher.model,):
            recipe = self.recipe.with_section(replace(self.recipe.teacher, model=model))
            with contextlib.suppress(MinikdError):
                found.append(networks.first_teacher(recipe, self.data.dataset))
        return found

    def teachers(self, student: Trial | None, moved: bool) -> Candidate:
        """Return the best teacher's settings. If the teacher is no better than the student, try what usually helps.

        moved: whether the students' images are augmented. Then the teacher's are too, because it sees the students'
        views.
        """
        wanted = TEACHERS if "teacher.model" in self.recipe.search else (self.recipe.teacher.model,)
        found = [one for model in wanted for one in self.of_network(model, moved)]
        best, trial = self.best("teacher", found or self.of_network("wide", moved))
        if student is None or trial is None or trial["brier"] < student["brier"]:
            return best
        self.note("no teacher is better than the student; trying what usually helps:")
        more = self.with_more_steps(best)
        if "teacher.model" in self.recipe.search:
            more += self.of_network("wide", moved)
        tried = {one.name: (one, self.trial("teacher", one, len(SHARES) - 1)) for one in more}
        best, trial = min([(best, trial), *tried.values()], key=lambda pair: pair[1]["brier"])
        if trial["brier"] >= student["brier"]:
            self.note("no teacher is better: expect the baseline to be as good as the distilled student")
        return best

    def with_more_steps(self, teacher: Candidate) -> list[Candidate]:
        """Return a teacher that is trained for three times as many steps, if the time allows."""
        recipe = with_settings(self.recipe, "teacher", teacher.settings)
        epochs = 3 * recipe.teacher.epochs
        macs = networks.first_teacher(recipe, self.data.dataset).macs(self.data.dataset.image_shape)
        if epochs * len(self.data.train) * macs > budgets.TEACHER_MACS:
            return []
        return [Candidate(f"{teacher.name}, 3 x steps", {**teacher.settings, "epochs": epochs})]

    def of_network(self, model: str, moved: bool) -> list[Candidate]:
        """Return the candidates with a teacher's network, or none if it cannot take the images or takes too long."""
        recipe = self.recipe.with_section(replace(self.recipe.teacher, model=model))
        try:
            network = networks.first_teacher(recipe, self.data.dataset)
        except MinikdError:
            if "teacher.model" in self.recipe.search:
                return []
            raise
        macs = network.macs(self.data.dataset.image_shape)
        if macs > DEAR and model != TEACHERS[-1] and "teacher.model" in self.recipe.search:
            return []
        common = {"model": model, **budgets.teacher_settings(len(self.known), len(self.data.train), macs)}
        return [Candidate(f"{model}{name}", {**common, **more}) for name, more in self.augmentations("teacher", moved)]

    def augmentations(self, section: str, only_moved: bool = False) -> list[tuple[str, Settings]]:
        """Return the augmentations to try: none, and moved images.

        If the recipe prescribes one, there is nothing to try.
        """
        if not all(f"{section}.{name}" in self.recipe.search for name in budgets.STILL):
            return [("", {})]
        moved = (", images moved", budgets.small_augmentation(self.data.dataset.image_shape))
        return [moved] if only_moved else [("", budgets.STILL), moved]

    def best(self, section: str, candidates: list[Candidate]) -> tuple[Candidate, Trial | None]:
        """Return the candidate that is left after the rounds, and its last trial, or None without a trial."""
        if not self.held:
            return candidates[0], None
        for number in range(len(SHARES)):
            last = number == len(SHARES) - 1
            if len(candidates) <= FINALISTS and not last:
                continue
            self.note(f"{section}, round {number + 1}:")
            trials = {one.name: self.trial(section, one, number) for one in candidates}
            candidates.sort(key=lambda one: trials[one.name]["brier"])
            if not last:
                candidates = candidates[: math.ceil(len(candidates) / 2)]
        return candidates[0], trials[candidates[0].name]

    def trial(self, section: str, candidate: Candidate, number: int) -> Trial:
        """Return a candidate's trial in a round: the sum of its folds. They are tried now, or read from the record."""
        key = f"{section}: {candidate.name}, round {number + 1}"
        known = {one["key"]: one for one in self.trials}
        parts, found = splits(self.known.labels, number, self.recipe.seed), []
        share = SHARES[number] * (FOLD if len(parts) > 1 else 1)
        for fold, (kept, taken) in enumerate(parts, 1):
            name = key if len(parts) == 1 else f"{key}, fold {fold}"
            found.append(known.get(name) or self.run_trial(name, section, candidate, share, kept, taken))
        images = sum(one["images"] for one in found)
        whole = Trial(
            key=key,
            errors=sum(one["errors"] for one in found),
            images=images,
            brier=sum(one["brier"] * one["images"] for one in found) / images,
        )
        if any(one["key"] not in known for one in found):
            wrong = f"{whole['errors']:>5} of {images:,} wrong"
            self.note(f"  {candidate.name:<26} {wrong}, Brier {whole['brier']:.3f}")
        return whole

    def run_trial(self, key: str, section: str, candidate: Candidate, share: float, kept: Ints, taken: Ints) -> Trial:
        """Train a candidate on the kept images, measure it on the held-out images, and record the result.

        share: the fraction of its budget that the candidate is trained for.
        """
        recipe = with_settings(self.recipe, section, candidate.settings)
        how: Training = getattr(recipe, section)
        epochs = max(1, round(share * how.epochs * len(self.data.train) / len(kept)))
        how = replace(how, epochs=epochs, warm_up=min(how.warm_up, epochs))
        views = part_of(self.known, kept)
        first = networks.first_teacher if section == "teacher" else networks.first_student
        model = first(recipe, self.data.dataset).to(choose(recipe.backend))
        smoothing = recipe.teacher.label_smoothing if section == "teacher" else 0.0
        try:
            fit(model, replace(views, augmentation=how.augmentation), Labels(smoothing), how.plan(recipe.seed))
            with workers(1 if module_of(model.vector) is not np else None) as map_:
                logits = logits_of(model, part_of(self.known, taken), map_)
        except Diverged:
            logits = np.zeros((len(taken), self.data.dataset.classes), np.float32)  # all classes equally probable
        found = Trial(
            key=key,
            errors=metrics.errors(logits, self.known.labels[taken]),
            images=len(taken),
            brier=metrics.brier(logits, self.known.labels[taken]),
        )
        self.trials.append(found)
        assert self.folder
        write_json(self.folder / FILE, {"identity": self.identity, "trials": self.trials}, indent=1)
        return found


def by_rule(recipe: Recipe, data: Data, teacher: Sequential | None) -> Recipe:
    """Return the recipe that the rules give without any trial, for an estimate of a run's time."""
    return searched(recipe, data, teacher, None, lambda text: None, tuple(SECTIONS)) if recipe.search else recipe


def searched(
    recipe: Recipe,
    data: Data,
    teacher: Sequential | None,
    folder: Path | None,
    note: Callable[[str], None],
    sections: Sequence[str],
) -> Recipe:
    """Return the recipe with the settings that the search finds for these sections; see `Search`."""
    one = Search(recipe, data, teacher, folder, note)
    note("choosing settings on held-out training images")
    note("(Brier: how far the probabilities are from the truth; 0 is best):")
    student, trial = one.students()
    macs = teacher.macs(data.dataset.image_shape) if teacher else 1
    if "teacher" in sections and teacher is None:
        with_student = with_settings(recipe, "student", student.settings)
        found = one.teachers(trial, with_student.student.augmentation is not None)
        recipe = with_settings(recipe, "teacher", found.settings)
        note(f"teacher: {found.name}; {recipe.teacher.epochs} epochs")
        macs = networks.first_teacher(recipe, data.dataset).macs(data.dataset.image_shape)
    if "student" in sections:
        recipe = with_settings(recipe, "student", student.settings)
        size = networks.first_student(recipe, data.dataset).macs(data.dataset.image_shape)
        varied = recipe.student.augmentation is not None
        final = budgets.student_settings(len(data.transfer), size, macs, varied)
        recipe = with_settings(recipe, "student", final)
        note(f"students: {student.name}; {recipe.student.epochs} epochs")
    if "distillation" in sections:
        recipe = with_settings(recipe, "distillation", budgets.distillation_settings(recipe.distillation.method))
    left = tuple(name for name in recipe.search if name.split(".")[0] not in sections)
    return replace(recipe, search=left)


def read_record(folder: Path) -> Record | None:
    """Return the contents of search.json, or None without the file. Raises CheckpointError for a damaged file."""
    return read_table(folder / FILE, Record, FIX)


def with_settings(recipe: Recipe, section: str, settings: Settings) -> Recipe:
    """Return the recipe with these settings, except those that it prescribes."""
    wanted = {name: value for name, value in settings.items() if f"{section}.{name}" in recipe.search}
    how: Section = getattr(recipe, section)
    return recipe.with_section(with_values(how, wanted))


def part_of(views: Views, index: Ints) -> Views:
    """Return some of the images."""
    return replace(views, images=views.images[index], labels=views.labels[index])
