"""Settings that are found on held-out training images: which, how, and that they stay found."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data import load_dataset
from minikd.distillation import budgets, run, search
from minikd.distillation import job as job_module
from minikd.distillation.held_out import held_out, splits
from minikd.distillation.recipe import SEARCHED, Distillation, Recipe, Student, Teacher, read_run_recipe
from minikd.distillation.search import read_record
from minikd.errors import CheckpointError, ConfigError, Diverged
from minikd.training import Callback
from tests.cli.makers import write_data

FILES = ("teacher", "student_baseline", "student_distilled")


class Notes(Callback):
    """A callback that keeps what it is told, and may stop a run at one of the notes."""

    def __init__(self, stop_at=None):
        self.texts, self.stop_at = [], stop_at

    def note(self, text):
        self.texts.append(text)
        if len(self.texts) == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "squares.npz")


@pytest.fixture(scope="module")
def recipe(data):
    """A run whose trainings take an epoch each, and which looks for all else."""
    open_settings = tuple(name for name in SEARCHED if not name.endswith(("epochs", "warm_up")))
    teacher = Teacher(epochs=1, warm_up=0.0)
    return Recipe(
        str(data), validation=20, teacher=teacher, student=Student(epochs=1, hidden=(8,)), search=open_settings
    )


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """The folder of a run of the recipe from its beginning to its end."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run.distill(recipe, folder)
    return folder


def weights(folder):
    return {name: (folder / f"{name}.safetensors").read_bytes() for name in FILES}


def keys(folder):
    return [one["key"] for one in read_record(folder)["trials"]]


def scores(folder, section, number):
    """Return the mean Brier score of each candidate of a section in a round, over all its folds' images."""
    sums = {}
    for one in read_record(folder)["trials"]:
        name, place, *_ = one["key"].split(", round ")
        if name.startswith(section) and place.startswith(str(number)):
            total, images = sums.get(name, (0, 0))
            sums[name] = total + one["brier"] * one["images"], images + one["images"]
    return {name: total / images for name, (total, images) in sums.items()}


def test_what_was_found_stands_in_the_recipe_which_repeats_the_run_without_a_search(whole, tmp_path):
    found = read_run_recipe(whole)
    assert found.search == ()
    assert found.teacher.batch_size == found.student.batch_size == 32
    assert found.teacher.clip_norm == found.student.clip_norm == 1
    assert found.teacher.epochs == found.student.epochs == 1
    assert found.student.learning_rate in search.STUDENT_RATES
    run.distill(found, tmp_path / "y")
    assert weights(tmp_path / "y") == weights(whole)
    assert not (tmp_path / "y" / search.FILE).exists()


def test_the_better_half_goes_on_and_the_best_is_taken(whole):
    for section, candidates in {"student": 4, "teacher": 4}.items():
        first, second = (scores(whole, section, number) for number in (1, 2))
        assert len(first) == candidates
        assert sorted(first, key=first.get)[: candidates // 2] == sorted(second, key=first.get)[: candidates // 2]
    best = min(second, key=second.get)
    assert read_run_recipe(whole).teacher.model in best


@pytest.mark.parametrize("stop_at", [5, 8, 12, 17])
def test_a_search_that_was_stopped_goes_on_and_tries_nothing_twice(stop_at, recipe, whole, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run.distill(recipe, tmp_path / "x", [Notes(stop_at)])
    before, tried = keys(tmp_path / "x"), []
    real = search.fit
    monkeypatch.setattr(search, "fit", lambda *arguments: tried.append(1) or real(*arguments))
    run.distill(read_run_recipe(tmp_path / "x"), tmp_path / "x")
    assert before
    assert len(tried) == len(keys(tmp_path / "x")) - len(before)
    assert weights(tmp_path / "x") == weights(whole)


def test_a_record_of_other_data_or_settings_is_not_used(recipe, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run.distill(recipe, tmp_path / "x", [Notes(8)])
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
    assert keys(tmp_path / "x") == [
        f"{name}, round 2, fold {fold}" for name in ("student: rate 0.001", "teacher: wide") for fold in (1, 2, 3)
    ]


def test_the_test_images_have_no_part_in_it(recipe, whole, tmp_path, data):
    arrays = dict(np.load(data))
    rng = np.random.default_rng(0)
    arrays["test_images"] = rng.integers(0, 255, arrays["test_images"].shape, np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    run.distill(replace(recipe, data=str(tmp_path / "other.npz")), tmp_path / "y")
    assert read_record(whole) == read_record(tmp_path / "y")


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
    rounds = [set(known[:3]), set(known[12:15])]
    assert set(known) == rounds[0] | rounds[1]
    assert not rounds[0] & rounds[1]
    assert [sum(map(len, one)) for one in rounds] == [162, 162]  # all, each once


@pytest.mark.parametrize(
    ("images", "asked"),
    [
        (60_000, [[2000], [2000]]),
        (1500, [[300], [300]]),
        (1437, [[479], [479]]),
        (720, [[240], [240, 240, 240]]),
        (300, [[100], [100, 100, 100]]),
        (100, [[34, 33, 33], [34, 33, 33]]),
        (12, [[4, 4, 4], [4, 4, 4]]),
    ],
)
def test_where_a_third_is_few_images_every_image_is_asked_about_before_the_choice(images, asked):
    labels = np.arange(images) % 4
    for number, sizes in enumerate(asked):
        parts = splits(labels, number, 7)
        assert [len(taken) for _, taken in parts] == sizes
        for kept, taken in parts:
            assert set(labels[kept]) == set(labels)
            assert np.ptp(np.bincount(labels[taken], minlength=4)) <= 1
        if len(sizes) > 1:
            np.testing.assert_array_equal(np.sort(np.concatenate([taken for _, taken in parts])), np.arange(images))


def test_a_class_of_two_images_is_asked_about_and_one_of_a_single_image_always_learned():
    labels = np.repeat([0, 1, 2, 3], [20, 3, 2, 1])
    parts = splits(labels, 1, 0)
    asked = np.concatenate([labels[taken] for _, taken in parts])
    np.testing.assert_array_equal(np.bincount(asked), [20, 3, 2])
    assert all(set(labels[kept]) == {0, 1, 2, 3} for kept, _ in parts)


def test_four_images_of_three_classes_have_no_empty_fold():
    assert [len(taken) for _, taken in splits(np.array([0, 0, 1, 2]), 1, 0)] == [1, 1]


def test_the_mean_over_all_folds_chooses_and_not_the_luck_of_one(recipe, tmp_path, monkeypatch):
    """A candidate that is far ahead on the first fold, and behind on the two others, is not taken."""
    notes, brier = Notes(), iter([0.1, 0.9, 0.9, 0.5, 0.5, 0.5])
    one = search.Search(recipe, job_data(recipe), None, tmp_path, notes.note)
    monkeypatch.setattr(search.metrics, "brier", lambda *_: next(brier))
    monkeypatch.setattr(search, "SHARES", (1 / 3,))
    lucky, steady = (search.Candidate(name, {"learning_rate": 1e-3}) for name in ("lucky", "steady"))
    best, trial = one.best("student", [lucky, steady])
    assert best.name == "steady"
    assert (trial["images"], trial["brier"]) == (162, 0.5)


def test_a_candidate_whose_loss_runs_away_is_never_taken(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "STUDENT_RATES", (1e30, 2e-3))
    run.distill(recipe, tmp_path / "x")
    assert read_run_recipe(tmp_path / "x").student.learning_rate == 2e-3


def test_where_no_teacher_is_better_what_helps_is_tried_and_the_rest_is_said(recipe, tmp_path, monkeypatch):
    real = budgets.teacher_settings
    monkeypatch.setattr(budgets, "teacher_settings", lambda *sizes: {**real(*sizes), "learning_rate": 1e-12})
    notes = Notes()
    run.distill(recipe, tmp_path / "x", [notes])
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
    assert {name.split(".")[0] for name in found.search} == {"teacher", "distillation"}
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
    failed, real = [], run.fit

    def fit(model, views, objective, plan, callbacks, threads):
        if callbacks[0].name == "student_distilled" and not failed:
            failed.append(1)
            raise Diverged("the loss became nan")
        return real(model, views, objective, plan, callbacks, threads)

    monkeypatch.setattr(run, "fit", fit)
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


def student_of(tmp_path, size, channels, **fields):
    """Return the recipe that the rules alone make for images of this size."""
    path = write_data(tmp_path / "images.npz", count=60, channels=channels, size=size)
    recipe = replace(Recipe(str(path), search=SEARCHED), **fields)
    return search.by_rule(recipe, job_data(recipe), None).student


def test_a_student_larger_than_its_teacher_gets_fewer_units_and_that_is_said(tmp_path):
    with pytest.warns(
        Notice,
        match=r"the students get 32 hidden units and 884,\d+ weights: with 128 units they would have 3.5 M, the "
        r"teacher has 39\d,\d+; --student-hidden 128 keeps 128",
    ):
        assert student_of(tmp_path, (96, 96), 3).hidden == (32,)


def test_a_cnn_larger_than_its_teacher_keeps_the_hidden_units_that_it_does_not_use(tmp_path):
    found = student_of(tmp_path, (96, 96), 3, student=Student(model="cnn", channels=(256, 256)))
    assert (found.model, found.hidden) == ("cnn", Student.hidden)


@pytest.mark.parametrize(("size", "channels"), [((28, 28), 1), ((32, 32), 3), ((12, 10), 1)])
def test_a_student_of_about_its_teachers_size_keeps_its_units(size, channels, tmp_path):
    assert student_of(tmp_path, size, channels).hidden == (128,)


def test_units_that_are_given_stay(tmp_path):
    asked = tuple(name for name in SEARCHED if name != "student.hidden")
    assert student_of(tmp_path, (64, 64), 3, search=asked).hidden == (128,)


@pytest.mark.numpy_only("the work is counted, and nothing is trained")
@pytest.mark.parametrize(("images", "share"), [(200, 2.0), (800, 2.0), (3000, 1.2)])
def test_the_search_takes_its_share_of_the_time_of_the_training(images, share, tmp_path, monkeypatch):
    """Multiply-adds of all trials beside those of the three stages; the candidates' answers decide nothing here."""
    data, work = write_data(tmp_path / "images.npz", count=images * 4 // 3, size=(28, 28)), []

    def count(model, views, objective, plan):
        work.append(plan.epochs * len(views) * model.macs(views.images.shape[1:]))

    monkeypatch.setattr(search, "fit", count)
    recipe = Recipe(str(data), search=SEARCHED)
    found = search.searched(recipe, job_data(recipe), None, tmp_path, print, ("teacher", "student"))
    shape = (1, 28, 28)
    networks, dataset = job_module.networks, job_data(recipe).dataset
    teacher, student = networks.first_teacher(found, dataset), networks.first_student(found, dataset)
    seen = {name: getattr(found, name).epochs * len(job_data(recipe).train) for name in ("teacher", "student")}
    looks = seen["student"] * teacher.macs(shape) / 3 if found.student.augmentation else 0
    training = seen["teacher"] * teacher.macs(shape) + 2 * seen["student"] * student.macs(shape) + looks
    assert 0.2 * share < sum(work) / training < share


def test_the_search_sets_min_uncertainty_for_soft_targets_and_no_other_method(whole, recipe, tmp_path):
    assert read_run_recipe(whole).distillation.min_uncertainty == budgets.MIN_UNCERTAINTY
    other = replace(recipe, distillation=Distillation(method="logit_matching"))
    run.distill(other, tmp_path / "x")
    assert read_run_recipe(tmp_path / "x").distillation.min_uncertainty == 0


def test_students_of_another_min_uncertainty_are_other_students(whole, tmp_path):
    folder = tmp_path / "x"
    shutil.copytree(whole, folder)
    (folder / "results.json").unlink()
    recipe = read_run_recipe(whole)
    with pytest.raises(CheckpointError, match="min_uncertainty"):
        run.distill(recipe.with_section(replace(recipe.distillation, min_uncertainty=0.2)), folder)


def test_students_whose_images_move_get_teachers_of_moved_ones_and_two_such_are_both_finalists(recipe, tmp_path):
    student = replace(recipe.student, shift=1.0)
    left = tuple(name for name in recipe.search if not name.startswith("student.s"))
    run.distill(replace(recipe, student=student, search=left), tmp_path / "x")
    tried = [key for key in keys(tmp_path / "x") if key.startswith("teacher") and "x steps" not in key]
    assert tried
    assert all("images moved" in key for key in tried)
    assert not any("round 1" in key for key in tried)
