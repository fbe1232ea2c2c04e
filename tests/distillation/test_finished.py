"""Which run answers, and what is said where its models are not there."""

import os

import pytest

from minikd.console.notices import Notice
from minikd.distillation.finished import load_models, newest_run
from minikd.errors import ConfigError
from minikd.report import MODELS
from minikd.weights import Card, save_model
from tests import problems

CARD = Card("any", (1, 6, 6), (0.2,), (0.25,), ("a", "b", "c"))
NAMES = "teacher", "student_baseline", "student_distilled"


def run(folder, *names, ended=True, at=1000):
    """A run's folder with these models, begun and ended at a time."""
    folder.mkdir(parents=True)
    for name in names:
        save_model(folder / f"{name}.safetensors", problems.mlp(), CARD)
    for name in ("config.toml", *(["results.json"] if ended else [])):
        (folder / name).write_text("{}")
        os.utime(folder / name, (at, at))
    return folder


def test_a_whole_run_answers_without_a_word(tmp_path):
    run(tmp_path / "old", *NAMES, at=1000)
    newest = run(tmp_path / "new", *NAMES, at=2000)
    assert newest_run(tmp_path) == newest
    assert tuple(load_models(newest)) == NAMES


def test_a_newer_run_that_has_not_ended_is_told(tmp_path):
    ended = run(tmp_path / "ended", *NAMES, at=1000)
    run(tmp_path / "under way", "teacher", ended=False, at=2000)
    run(tmp_path / "given up", ended=False, at=500)
    with pytest.warns(Notice, match=r"ended is used, the newest .*; newer folders: '\S*under way' has not ended$"):
        assert newest_run(tmp_path) == ended


def test_a_newer_run_of_one_model_is_passed_over(tmp_path):
    whole = run(tmp_path / "whole", *NAMES, at=1000)
    run(tmp_path / "one", "teacher", at=2000)
    run(tmp_path / "none", at=3000)
    with pytest.warns(
        Notice, match=r"whole is used, .*newer folders: \S*none holds no models; \S*one holds only the teacher$"
    ):
        assert newest_run(tmp_path) == whole


def test_where_no_run_is_whole_those_that_are_there_are_named(tmp_path):
    with pytest.raises(
        ConfigError, match=r"runs holds no finished run with a teacher .*; make one with minikd distill"
    ):
        newest_run(tmp_path / "runs")
    run(tmp_path / "a", "teacher", ended=False)
    run(tmp_path / "b", "student_baseline", at=2000)
    with pytest.raises(
        ConfigError, match=rf"b holds only the {MODELS['student_baseline']}; \S*a has not ended\. Name one of them with"
    ):
        newest_run(tmp_path)


def test_models_that_are_missing_are_told(tmp_path):
    folder = run(tmp_path / "a", "teacher", ended=False)
    words = f"a holds only the teacher; the {MODELS[NAMES[1]]} and the {MODELS[NAMES[2]]} are not there"
    with pytest.warns(Notice, match=words):
        assert list(load_models(folder)) == ["teacher"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda here: None, "is not there; give the folder of a run"),
        (lambda here: here.write_text(""), "is a file; give the folder of a run"),
        (lambda here: here.mkdir(), "holds no weights of a run; give a folder that minikd distill has written"),
        (lambda here: run(here), r"no model has been finished; .*: minikd distill --resume '\S*my run'$"),
        (lambda here: run(here / "one", "teacher"), r"no run, but holds the models of some; .*: '\S*my run/one'$"),
        (lambda here: run(here / "cells" / "s0", "teacher"), r"holds the models of some; .*: '\S*my run/cells/s0'$"),
        (lambda here: run(here, "mine"), "is a run in which no model has been finished"),
    ],
)
def test_a_folder_without_models_is_told_as_what_it_is(made, words, tmp_path):
    made(tmp_path / "my run")
    with pytest.raises(ConfigError, match=words):
        load_models(tmp_path / "my run")


def test_other_weights_are_named(tmp_path):
    (run(tmp_path / "a", "mine") / "config.toml").unlink()
    with pytest.raises(ConfigError, match=r"a holds mine\.safetensors, but none of a run's models: teacher, student_b"):
        load_models(tmp_path / "a")
