"""Settings that are found on held-out training images: which, how, and that they stay found."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data import load_dataset
from minikd.distillation import budgets, run, search
from minikd.distillation import job as job_module
from minikd.distillation.recipe import SEARCHED, Recipe, Student, Teacher, read_run_recipe
from minikd.distillation.search import held_out, read_record
from minikd.errors import ConfigError, Diverged
from tests.cli.makers import write_data

FILES = ("teacher", "student_baseline", "student_distilled")


class Notes:
    """A watcher that keeps what it is told, and may stop a run at one of the notes."""

    def __init__(self, stop_at=None):
        self.texts, self.stop_at = [], stop_at

    def note(self, text):
        self.texts.append(text)
        if len(self.texts) == self.stop_at:
            raise KeyboardInterrupt

    def start(self, *arguments): ...
    def step(self, *arguments): ...
    def look(self, *arguments): ...
    def epoch(self, *arguments): ...
    def stop(self): ...


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "squares.npz")


@pytest.fixture
def recipe(data):
    """A run whose trainings take an epoch each, and which looks for all else."""
    open_settings = tuple(name for name in SEARCHED if not name.endswith(("epochs", "warm_up")))
    teacher = Teacher(epochs=1, warm_up=0.0)
    return Recipe(
        str(data), validation=20, teacher=teacher, student=Student(epochs=1, hidden=(8,)), search=open_settings
    )


def weights(folder):
    return {name: (folder / f"{name}.safetensors").read_bytes() for name in FILES}


def keys(folder):
    return [one["key"] for one in read_record(folder)["trials"]]


def test_what_was_found_stands_in_the_recipe_which_repeats_the_run_without_a_search(recipe, tmp_path):
    run.distill(recipe, tmp_path / "x")
    found = read_run_recipe(tmp_path / "x")
    assert found.search == ()
    assert found.teacher.batch_size == found.student.batch_size == 32
    assert found.teacher.clip_norm == found.student.clip_norm == 1
    assert found.teacher.epochs == found.student.epochs == 1
    assert found.student.learning_rate in search.STUDENT_RATES
    run.distill(found, tmp_path / "y")
    assert weights(tmp_path / "y") == weights(tmp_path / "x")
    assert not (tmp_path / "y" / search.FILE).exists()


def test_the_better_half_goes_on_and_the_best_is_taken(recipe, tmp_path):
    run.distill(recipe, tmp_path / "x")
    for section, candidates in {"student": 4, "teacher": 4}.items():
        trials = [one for one in read_record(tmp_path / "x")["trials"] if one["key"].startswith(section)]
        first = {one["key"][:-9]: one["brier"] for one in trials if one["key"].endswith("round 1")}
        second = {one["key"][:-9]: one["brier"] for one in trials if one["key"].endswith("round 2")}
        assert len(first) == candidates
        assert sorted(first, key=first.get)[: candidates // 2] == sorted(second, key=first.get)[: candidates // 2]
    best = min(second, key=second.get)
    assert read_run_recipe(tmp_path / "x").teacher.model in best


@pytest.mark.parametrize("stop_at", [5, 8, 12, 17])
def test_a_search_that_was_stopped_goes_on_and_tries_nothing_twice(stop_at, recipe, tmp_path, monkeypatch):
    run.distill(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run.distill(recipe, tmp_path / "x", Notes(stop_at))
    before, tried = keys(tmp_path / "x"), []
    real = search.fit
    monkeypatch.setattr(search, "fit", lambda *arguments: tried.append(1) or real(*arguments))
    run.distill(read_run_recipe(tmp_path / "x"), tmp_path / "x")
    assert before
    assert len(tried) == len(keys(tmp_path / "x")) - len(before)
    assert weights(tmp_path / "x") == weights(tmp_path / "whole")


def test_a_record_of_other_data_or_settings_is_not_used(recipe, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run.distill(recipe, tmp_path / "x", Notes(8))
    record = json.loads((tmp_path / "x" / search.FILE).read_text())
    one = search.Search(replace(recipe, seed=1), job_data(recipe), None, tmp_path / "x", print)
    assert one.trials == []
    assert search.Search(recipe, job_data(recipe), None, tmp_path / "x", print).trials == record["trials"]


def job_data(recipe):
    return job_module.networks.prepared(recipe)[0]


def test_what_is_given_stays(recipe, tmp_path):
    recipe = replace(
        recipe,
        teacher=replace(recipe.teacher, model="wide", shift=0.5),
        student=replace(recipe.student, learning_rate=1e-3),
        search=("teacher.batch_size", "student.batch_size"),
    )
    run.distill(recipe, tmp_path / "x")
    found = read_run_recipe(tmp_path / "x")
    assert (found.teacher.model, found.teacher.shift, found.student.learning_rate) == ("wide", 0.5, 1e-3)
    assert (found.teacher.learning_rate, found.student.clip_norm) == (0.1, 0)
    assert keys(tmp_path / "x") == ["student: rate 0.001, round 2", "teacher: wide, round 2"]


def test_the_test_images_have_no_part_in_it(recipe, tmp_path, data):
    arrays = dict(np.load(data))
    rng = np.random.default_rng(0)
    arrays["test_images"] = rng.integers(0, 255, arrays["test_images"].shape, np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    run.distill(recipe, tmp_path / "x")
    run.distill(replace(recipe, data=str(tmp_path / "other.npz")), tmp_path / "y")
    assert read_record(tmp_path / "x") == read_record(tmp_path / "y")


def test_rounds_hold_out_other_images_and_train_on_none_of_them(recipe, tmp_path, monkeypatch):
    seen, asked, known = [], [], []
    real_fit, real_logits = search.fit, search.logits_of
    monkeypatch.setattr(search, "fit", lambda model, views, *more: seen.append(views) or real_fit(model, views, *more))
    monkeypatch.setattr(
        search, "logits_of", lambda model, views, map_: asked.append(views) or real_logits(model, views, map_)
    )
    run.distill(recipe, tmp_path / "x")
    for training, held in zip(seen, asked, strict=True):
        parts = [{image.tobytes() for image in views.images} for views in (training, held)]
        assert not parts[0] & parts[1]
        known.append(frozenset(parts[1]))
    assert len(set(known)) == 2


def test_a_candidate_whose_loss_runs_away_is_never_taken(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "STUDENT_RATES", (1e30, 2e-3))
    run.distill(recipe, tmp_path / "x")
    assert read_run_recipe(tmp_path / "x").student.learning_rate == 2e-3


def test_where_no_teacher_is_better_what_helps_is_tried_and_the_rest_is_said(recipe, tmp_path, monkeypatch):
    real = budgets.teacher_settings
    monkeypatch.setattr(budgets, "teacher_settings", lambda *sizes: {**real(*sizes), "learning_rate": 1e-12})
    notes = Notes()
    run.distill(recipe, tmp_path / "x", notes)
    assert any("3 x steps" in key for key in keys(tmp_path / "x"))
    assert any("wide" in key for key in keys(tmp_path / "x"))
    assert any("expect the baseline to be as good" in text for text in notes.texts)


def test_a_network_that_cannot_take_the_images_is_left_out(tmp_path, recipe):
    data = write_data(tmp_path / "small.npz", size=(6, 10))
    run.distill(replace(recipe, data=str(data)), tmp_path / "x")
    assert not any("vgg" in key for key in keys(tmp_path / "x"))
    assert any("cnn" in key for key in keys(tmp_path / "x"))


def test_one_role_is_searched_for_alone(recipe, tmp_path):
    run.train(recipe, tmp_path / "x", "student")
    found = read_run_recipe(tmp_path / "x")
    assert all(name.startswith("teacher.") for name in found.search)
    assert not any(key.startswith("teacher") for key in keys(tmp_path / "x"))


@pytest.mark.parametrize(
    ("count", "classes", "held"), [(1000, 10, 200), (60, 3, 20), (30, 3, 15), (4, 3, 1), (3, 3, 0), (60000, 10, 2000)]
)
def test_so_many_are_held_out(count, classes, held):
    assert held_out(np.arange(count) % classes) == held


def test_one_image_of_each_class_is_enough_to_go_on_by_rule(tmp_path, recipe):
    write_data(tmp_path / "few.npz", count=4)
    assert len(load_dataset(str(tmp_path / "few.npz")).train_labels) == 3
    with pytest.warns(Notice, match="too few to hold any out"):
        run.distill(replace(recipe, data=str(tmp_path / "few.npz")), tmp_path / "x")
    assert not (tmp_path / "x" / search.FILE).exists()


def test_an_unknown_setting_cannot_be_searched_for():
    with pytest.raises(ConfigError, match=r"search names 'teacher.dropout', but can find only teacher.model"):
        Recipe(search=("teacher.dropout",))


@pytest.mark.parametrize("images", [40, 300, 1437, 3000, 20_000, 60_000])
@pytest.mark.parametrize("macs", [10_000, 4_200_000, 60_000_000])
def test_budgets_are_steps_that_grow_with_the_task_and_fit_the_time(images, macs):
    def seen(count):
        found = budgets.teacher_settings(count, count, macs)
        return found["epochs"] * count, found["epochs"] * -(-count // found["batch_size"])

    assert seen(images)[1] >= budgets.FEWEST_STEPS * 0.9
    assert seen(images)[0] * macs <= max(budgets.TEACHER_MACS, 128 * budgets.FEWEST_STEPS * macs, images * macs) * 1.5
    assert seen(2 * images)[0] >= seen(images)[0] * 0.75  # whole epochs
    assert budgets.student_settings(images, 100_000, macs, varied=True)["epochs"] >= 1


def test_a_student_that_ran_away_starts_again_beside_its_baseline(recipe, tmp_path, monkeypatch):
    recipe = replace(recipe, search=())
    failed, real = [], job_module.fit

    def fit(*arguments, **more):
        if more["name"] == "student_distilled" and not failed:
            failed.append(1)
            raise Diverged("the loss became nan")
        return real(*arguments, **more)

    monkeypatch.setattr(job_module, "fit", fit)
    with pytest.warns(
        Notice, match=r"student distilled: its loss ran away; both students start again .* 0.00125 instead of 0.005"
    ):
        run.distill(recipe, tmp_path / "x")
    found = read_run_recipe(tmp_path / "x")
    assert (found.student.learning_rate, found.student.clip_norm, found.teacher) == (0.00125, 1.0, recipe.teacher)
    run.distill(found, tmp_path / "y")
    assert weights(tmp_path / "y") == weights(tmp_path / "x")
    assert run.distill(found, tmp_path / "x")["config"]["student"]["learning_rate"] == 0.00125


def test_a_teacher_that_ran_away_starts_again(recipe, tmp_path):
    wild = replace(recipe.teacher, optimizer="sgd", learning_rate=3e3, schedule="constant", clip_norm=0.0, momentum=0.0)
    with pytest.warns(Notice, match="teacher: its loss ran away; the teacher starts again"):
        run.distill(replace(recipe, search=(), teacher=wild), tmp_path / "x")
    assert read_run_recipe(tmp_path / "x").teacher.learning_rate < 3e3
