"""A run and its settings: what is there is used for what it was made by, and for nothing else."""

import json
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data import load_dataset
from minikd.distillation import job as job_module
from minikd.distillation import networks, run
from minikd.distillation.ended import check_settings
from minikd.distillation.folder import RunFolder
from minikd.distillation.job import Job
from minikd.distillation.recipe import Distillation, Recipe, Student, Teacher
from minikd.distillation.results import read_results, write_results
from minikd.errors import CheckpointError, ConfigError, Diverged
from minikd.nn.reordering import reordered
from minikd.weights import load_model, save_model
from tests.cli.makers import write_data
from tests.distillation.test_job import trained

FILES = ("teacher", "student_baseline", "student_distilled")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "squares.npz")


@pytest.fixture(scope="module")
def recipe(data):
    teacher = Teacher(epochs=1, batch_size=32, shards=1)
    return Recipe(str(data), validation=20, teacher=teacher, student=Student(epochs=1, batch_size=32, hidden=(8,)))


@pytest.fixture(scope="module")
def ended(recipe, tmp_path_factory):
    """The folder of a run that has ended."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    run.distill(recipe, folder)
    return folder


@pytest.fixture
def folder(ended, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(ended, tmp_path / "run"))


def unfinished(folder):
    """The folder as it is when the run was killed before its end."""
    for name in ("results.json", "report.html"):
        (folder / name).unlink()
    return folder


def weights(folder):
    return {name: (folder / f"{name}.safetensors").read_bytes() for name in FILES}


TEACHER = {"teacher": {"learning_rate": 0.05}}
CHANGES = {
    "teacher's rate": (TEACHER, "teacher.learning_rate was 0.1 and is 0.05", "learning_rate was 0.1 and is 0.05"),
    "smoothing": (
        {"teacher": {"label_smoothing": 0.1}},
        "teacher.label_smoothing was 0.0 and is 0.1",
        "label_smoothing was 0.0 and is 0.1",
    ),
    "model": (
        {"teacher": {"model": "wide"}},
        "teacher.model was .*cnn.* and is .*wide",
        "network was conv .* and is 120-",
    ),
    "seed": ({"seed": 3}, "seed was 0 and is 3", "seed was 0 and is 3"),
    "held out": ({"validation": 10}, "validation was 20 and is 10", "the training images are others"),
    "student": (
        {"student": {"hidden": (9,)}},
        r"student.hidden was \\[8\\] and is \\[9\\]".replace("\\\\", "\\"),
        "network was 120-8-3 and is 120-9-3",
    ),
    "shift": ({"student": {"shift": 1.0}}, "student.shift was 0.0 and is 1.0", "shift was nothing and is 1"),
    "method": (
        {"distillation": {"method_args": {"temperature": 2.0}}},
        "distillation.method_args.temperature was 4.0 and is 2.0",
        "soft_targets.temperature was 4.0 and is 2.0",
    ),
}


def changed(recipe, change):
    """The recipe with other settings, in its sections too."""
    sections = {
        name: replace(getattr(recipe, name), **value) for name, value in change.items() if isinstance(value, dict)
    }
    return replace(recipe, **{**change, **sections})


@pytest.mark.parametrize(("change", "told", "_"), CHANGES.values(), ids=CHANGES)
def test_the_results_of_other_settings_are_not_told_again(change, told, _, recipe, folder):
    before = (folder / "results.json").read_bytes()
    with pytest.raises(ConfigError, match=f"results of other settings.*{told}.*restore that, or start a new run"):
        run.distill(changed(recipe, change), folder)
    assert (folder / "results.json").read_bytes() == before


@pytest.mark.parametrize(("change", "_", "told"), CHANGES.values(), ids=CHANGES)
def test_a_stage_that_other_settings_decided_is_not_used(change, _, told, recipe, folder):
    unfinished(folder)
    before = weights(folder)
    with pytest.raises(
        CheckpointError, match=f"was trained with other settings: {told}.*restore them, or remove this file"
    ):
        run.distill(changed(recipe, change), folder)
    assert weights(folder) == before
    assert run.distill(recipe, folder)["student_distilled"]["errors"] is not None
    assert weights(folder) == before


def test_a_stage_that_was_removed_is_trained_anew_by_the_settings_of_now(recipe, folder):
    unfinished(folder)
    before = weights(folder)
    for name in FILES[1:]:
        (folder / f"{name}.safetensors").unlink()
    run.distill(changed(recipe, {"student": {"learning_rate": 1e-3}}), folder)
    after = weights(folder)
    assert after["teacher"] == before["teacher"]
    assert after["student_baseline"] != before["student_baseline"]


def test_the_same_data_elsewhere_go_on(recipe, folder, tmp_path):
    before, numbers = weights(folder), json.loads((folder / "results.json").read_text())
    moved = replace(recipe, data=str(shutil.copy(recipe.data, tmp_path / "moved.npz")))
    assert run.distill(moved, folder)["teacher"] == numbers["teacher"]
    assert json.loads((folder / "results.json").read_text())["config"]["data"] == moved.data
    run.distill(moved, unfinished(folder))
    assert weights(folder) == before


@pytest.mark.parametrize("results", [True, False])
def test_other_data_are_refused_wherever_they_lie(results, recipe, folder, tmp_path):
    if not results:
        unfinished(folder)
    other = write_data(tmp_path / "other.npz", count=264)
    with pytest.raises(
        CheckpointError, match=r"teacher\.safetensors was trained with other settings: the training images are"
    ):
        run.distill(replace(recipe, data=str(other)), folder)
    assert load_dataset(str(other)).classes == load_dataset(recipe.data).classes


def with_other_tests(data, path):
    """A copy of a data set whose test images, and nothing else, are others."""
    with np.load(data) as arrays:
        np.savez(path, **(dict(arrays) | {"test_images": 255 - arrays["test_images"]}))
    return str(path)


@pytest.mark.parametrize("again", [run.distill, lambda recipe, folder: run.train(recipe, folder, "baseline")])
def test_results_are_not_told_again_as_those_of_other_test_images(again, recipe, folder, tmp_path):
    before = (folder / "results.json").read_bytes()
    other = replace(recipe, data=with_other_tests(recipe.data, tmp_path / "other.npz"))
    with pytest.raises(
        ConfigError, match=r"has results on other test images than \S*other\.npz has now; restore the old images"
    ):
        again(other, folder)
    assert (folder / "results.json").read_bytes() == before
    measured = run.distill(other, unfinished(folder))
    assert measured["teacher"]["nll"] != json.loads(before)["teacher"]["nll"]


def test_another_backend_is_no_other_run(recipe, folder):
    results = run.distill(replace(recipe, backend="numpy"), folder)
    assert results == read_results(folder)


def test_a_given_teacher_is_known_by_its_weights_and_not_by_their_place(recipe, ended, tmp_path):
    given = shutil.copy(ended / "teacher.safetensors", tmp_path / "given.safetensors")
    taught = replace(recipe, teacher=replace(recipe.teacher, weights=str(given)))
    run.distill(taught, tmp_path / "x")
    before = weights(tmp_path / "x")
    moved = shutil.move(given, tmp_path / "moved.safetensors")
    again = replace(taught, teacher=replace(taught.teacher, weights=str(moved)))
    run.distill(again, unfinished(tmp_path / "x"))
    assert weights(tmp_path / "x") == before
    model, card = load_model(moved)
    model.vector[0] += 1
    save_model(moved, model, card)
    for broken in (tmp_path / "x", unfinished(tmp_path / "x")):
        with pytest.raises(
            CheckpointError, match=r"teacher.safetensors was trained with other settings: the weights given"
        ):
            run.distill(taught if broken is None else again, broken)
    assert weights(tmp_path / "x") == before


def test_a_trained_teacher_is_not_overwritten_by_a_given_one(recipe, ended, folder):
    given = replace(recipe, teacher=replace(recipe.teacher, weights=str(ended / "student_baseline.safetensors")))
    before = weights(folder)
    with pytest.raises(CheckpointError, match=r"teacher\.safetensors was trained with other settings"):
        run.distill(given, unfinished(folder))
    assert weights(folder) == before


def test_weights_of_an_earlier_version_are_used_and_said(recipe, folder):
    unfinished(folder)
    for name in FILES:
        save_model(folder / f"{name}.safetensors", *load_model(folder / f"{name}.safetensors"))
    with pytest.warns(Notice, match="is of an earlier version of minikd and does not tell how it was trained") as said:
        run.distill(changed(recipe, TEACHER), folder)
    assert len(said) == 3


def test_weights_of_an_earlier_version_that_count_the_classes_otherwise_are_matched_by_name(recipe, folder):
    errors = json.loads((folder / "results.json").read_text())["teacher"]["errors"]
    unfinished(folder)
    model, card = load_model(folder / "teacher.safetensors")
    order = tuple(reversed(range(len(card.class_names))))
    names = tuple(reversed(card.class_names))
    save_model(folder / "teacher.safetensors", reordered(model, order), replace(card, class_names=names))
    for name in FILES[1:]:
        (folder / f"{name}.safetensors").unlink()
    with pytest.warns(Notice) as said:
        assert run.distill(recipe, folder)["teacher"]["errors"] == errors
    assert [("earlier version" in str(one.message), "in another order" in str(one.message)) for one in said] == [
        (True, False),
        (False, True),
    ]


def test_results_of_an_earlier_version_are_told_and_said(recipe, folder):
    path = folder / "results.json"
    earlier = {name: value for name, value in json.loads(path.read_text()).items() if name not in ("config", "sha256")}
    path.write_text(json.dumps(earlier))
    with pytest.warns(Notice, match="does not give its settings"):
        assert run.distill(changed(recipe, TEACHER), folder) == earlier


@pytest.mark.parametrize(
    "gone", ["report.html", "figures", "figures/confusion_matrix.svg", "figures/disagreements-narrow.svg"]
)
def test_what_is_gone_of_a_report_is_written_again_and_no_number_changes(gone, recipe, folder):
    before = (folder / "results.json").read_bytes()
    shutil.rmtree(folder / gone) if gone == "figures" else (folder / gone).unlink()
    results = run.distill(recipe, folder)
    assert (folder / "results.json").read_bytes() == before
    assert (folder / gone).exists()
    assert len(list((folder / "figures").iterdir())) == 12
    assert f"{results['teacher']['errors']:,}" in (folder / "report.html").read_text()


def test_a_report_is_written_again_although_the_data_are_gone(recipe, folder, tmp_path):
    here = replace(recipe, data=str(tmp_path / "gone.npz"))
    results = read_results(folder)
    write_results(folder, {**results, "config": {**results["config"], "data": here.data}})
    (folder / "report.html").unlink()
    run.distill(here, folder)
    assert (folder / "report.html").exists()


def test_one_model_is_trained_by_its_own_section_alone(recipe, tmp_path):
    folder = tmp_path / "run"
    row = run.train(recipe, folder, "teacher")
    other = changed(recipe, {"student": {"hidden": (9,)}})
    assert run.train(other, folder, "teacher") == row
    with pytest.raises(ConfigError, match=r"teacher\.learning_rate was 0\.1 and is 0\.05"):
        run.train(changed(recipe, TEACHER), folder, "baseline")
    assert run.train(other, folder, "baseline")["model"] == "120-9-3"
    with pytest.raises(ConfigError, match=r"student\.hidden was"):
        run.train(recipe, folder, "baseline")


def test_two_runs_in_one_folder_at_once_are_refused(recipe, tmp_path):
    with Job(recipe, tmp_path / "run", networks.prepared(recipe)):
        for work in (
            lambda: run.distill(recipe, tmp_path / "run"),
            lambda: run.train(recipe, tmp_path / "run", "teacher"),
        ):
            with pytest.raises(ConfigError, match="in use by this process"):
                work()
    run.train(recipe, tmp_path / "run", "teacher")


def test_runs_of_one_default_name_at_once_are_runs_of_their_own(recipe, tmp_path):
    places = [RunFolder(tmp_path / "x", numbered=True) for _ in range(3)]
    seeds = [replace(recipe, seed=seed) for seed in range(3)]
    threads = [threading.Thread(target=run.train, args=(*one, "student")) for one in zip(seeds, places, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x-2", "x-3"]
    for seed, place in enumerate(places):
        assert json.loads((place.path / "results.json").read_text())["seed"] == seed
    assert len({(place.path / "student_baseline.safetensors").read_bytes() for place in places}) == 3


def test_a_diverged_run_leaves_its_name_free_and_no_folder_that_looks_like_a_run(recipe, tmp_path):
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "schedule": "constant"}
    with pytest.raises(Diverged, match=r"--teacher-learning-rate, --teacher-clip-norm 1"), pytest.warns(Notice) as told:
        run.distill(changed(recipe, {"teacher": wild}), tmp_path / "x")
    assert len(told) == run.STEPS_BACK
    assert list(tmp_path.iterdir()) == []
    for number in ("", "1"):
        with pytest.warns(Notice) as told, pytest.raises(Diverged, match="--student-learning-rate"):
            run.distill(changed(recipe, {"student": wild}), tmp_path / "x")
        kept = r"x-diverged.*, which is not a run: .*teacher\.safetensors.*; .*--teacher-weights .*x-diverged"
        assert re.search(kept, str(told[-1].message))
        kept = tmp_path / f"x-diverged{number}"
        assert (kept / "teacher.safetensors").exists()
        assert not list(kept.glob("*.checkpoint"))
        assert not (kept / "config.toml").exists()
        assert not (tmp_path / "x").exists()


def test_a_run_that_diverges_after_a_checkpoint_leaves_nothing(recipe, tmp_path):
    """Else --resume would walk into the same NaN."""

    def diverge():
        with Job(recipe, RunFolder(tmp_path / "x", new=True), networks.prepared(recipe)) as job:
            (job.folder / "teacher.checkpoint").write_bytes(b"the last good epoch")
            raise Diverged("teacher: the loss became nan")

    with pytest.raises(Diverged):
        diverge()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_was_not_removed_in_time_is_removed(recipe, folder):
    unfinished(folder)
    (folder / "teacher.checkpoint").write_bytes(b"")
    run.distill(recipe, folder)
    assert not list(folder.glob("*.checkpoint"))


def test_figures_that_cannot_be_drawn_cost_no_numbers(recipe, tmp_path, monkeypatch):
    def broken(evidence, folder):
        raise RuntimeError("no font")

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_figures", broken)
        with pytest.warns(Notice, match=r"cannot be drawn .*no font"):
            results = run.distill(recipe, tmp_path / "x")
    assert read_results(tmp_path / "x") == results
    assert run.distill(recipe, tmp_path / "x") == results
    assert len(list((tmp_path / "x" / "figures").iterdir())) == 12


def test_what_a_stage_was_made_by_is_the_same_for_a_teacher_from_the_disk(recipe, tmp_path, monkeypatch):
    """The student's record names its teacher's weights: those in memory after its training are those on the disk."""
    texts = []
    real = job_module.identity_of
    monkeypatch.setattr(job_module, "identity_of", lambda *arguments: texts.append(real(*arguments)) or texts[-1])
    normed = changed(recipe, {"student": {"norm": "batch"}})
    normed = replace(normed, distillation=Distillation(assistant=(7,), generations=2))
    for _ in range(2):
        with Job(normed, tmp_path / "x", networks.prepared(normed)) as job:
            trained(job, "teacher", *job.distilled_names)
    half = len(texts) // 2
    assert texts[:half] == texts[half:]
    assert half == 4


def test_results_of_a_version_without_a_setting_are_told_again(recipe, folder):
    results = json.loads((folder / "results.json").read_text())
    del results["config"]["train_images"], results["config"]["distillation"]["min_uncertainty"]
    check_settings(results, recipe, folder)
    with pytest.raises(ConfigError, match=r"distillation.min_uncertainty was 0.0 and is 0.5"):
        check_settings(results, changed(recipe, {"distillation": {"min_uncertainty": 0.5}}), folder)
