"""`minikd info FILE`: what a file is, and whether its checksum holds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minikd.cli import main
from minikd.cli.contents import EDITED, NONE, RIGHT, content_of, contents_of, lines_of
from minikd.distillation.history import write_history
from minikd.distillation.recipe import Recipe, sealed
from minikd.distillation.results import write_results
from minikd.storage.jsonfiles import write_json
from minikd.storage.tensors import write_tensors
from minikd.training.checkpoints import Position, save_checkpoint
from minikd.weights import save_model
from tests import problems
from tests.records import CARD, OUTCOME, RESULTS, row


@pytest.fixture
def folder(tmp_path):
    """A folder with a file of each kind."""
    save_model(tmp_path / "model.safetensors", problems.cnn(), CARD)
    save_checkpoint(tmp_path / "model.checkpoint", {"a": np.ones(2)}, Position(3, 7), "a run")
    write_tensors(tmp_path / "answers.safetensors", {"logits": np.ones((2, 3))}, {"minikd-answers": "logits"})
    write_tensors(tmp_path / "editions.safetensors", {"images": np.ones((2, 3))}, {"minikd-editions": "some"})
    write_results(tmp_path, RESULTS)
    write_json(tmp_path / "teacher-seed0.json", OUTCOME)
    write_history(tmp_path / "history.csv", [row("teacher", 1), row("teacher", 2)])
    (tmp_path / "config.toml").write_text(sealed(Recipe(data="here", seed=3)))
    return tmp_path


WHAT = {
    "model.safetensors": "the model student, conv 3x3x4 · pool 2 · dense 3, images 1x6x6, 3 classes",
    "model.checkpoint": "a checkpoint at epoch 3, batch 7",
    "answers.safetensors": "a teacher's answers: logits",
    "editions.safetensors": "training images in editions: images",
    "results.json": "results of the run run, seed 0",
    "teacher-seed0.json": "outcome of an experiment's cell, teacher, seed 0",
    "history.csv": "history of teacher, 2 epochs",
    "config.toml": "a recipe for here, seed 3, method soft_targets",
}


@pytest.mark.parametrize("name", WHAT)
def test_every_file_is_named_with_its_size_and_its_checksum(name, folder):
    found = content_of(folder / name)
    assert (found["what"], found["checksum"], found["error"]) == (WHAT[name], RIGHT, "")
    assert found["bytes"] == (folder / name).stat().st_size


def test_a_run_on_a_device_tells_how_its_steps_were_taken(tmp_path):
    steps = {"teacher": "CUDA graphs", "student_distilled": "one by one: asked for by --no-graph"}
    write_results(tmp_path, RESULTS | {"steps": steps})
    told = content_of(tmp_path / "results.json")["what"]
    assert told == (
        "results of the run run, seed 0; steps of teacher: CUDA graphs; "
        "steps of student_distilled: one by one: asked for by --no-graph"
    )


def test_an_experiment_s_results_are_named(tmp_path):
    report = {"experiment": "temperature", "preset": "tiny", "seeds": 1, "against": [], "rows": [], "beside": []}
    more = {"failed": {}, "seconds": 1.0, "machine": RESULTS["machine"], "versions": {}}
    write_json(tmp_path / "results.json", report | more)
    assert content_of(tmp_path / "results.json")["what"] == "results of the experiment temperature, 0 rows"


def test_a_file_without_a_checksum_is_told_as_that(folder):
    save_file(load_file(folder / "model.safetensors"), folder / "theirs.safetensors", {"format": "pt"})
    (folder / "results.json").write_text(json.dumps(RESULTS))
    lines = (folder / "history.csv").read_text().splitlines()
    (folder / "history.csv").write_text("".join(f"{line.rpartition(',')[0]}\n" for line in lines))
    (folder / "config.toml").write_text(Recipe().to_toml())
    for name in ("theirs.safetensors", "results.json", "history.csv", "config.toml"):
        assert content_of(folder / name)["checksum"] == NONE
    assert content_of(folder / "theirs.safetensors")["what"].startswith("arrays of another program: 0.bias, ")


@pytest.mark.filterwarnings("ignore::minikd.console.notices.Notice")
def test_an_edited_recipe_is_no_damage(folder):
    (folder / "config.toml").write_text(sealed(Recipe()).replace("seed = 0", "seed = 5"))
    assert content_of(folder / "config.toml")["checksum"] == EDITED


def test_of_a_folder_every_file_is_told_and_the_others_left_out(folder):
    (folder / "report.html").write_text("")
    shutil.copytree(folder, folder / "inside", ignore=shutil.ignore_patterns("inside", "*.safetensors"))
    names = [one["path"] for one in contents_of([folder])]
    assert names == sorted(names)
    assert len(names) == len(WHAT) + len([name for name in WHAT if not name.endswith(".safetensors")])
    assert "not a file that minikd can read" in content_of(folder / "report.html")["what"]


def test_a_folder_without_such_a_file_is_told_as_that(tmp_path, monkeypatch, capsys):
    (tmp_path / "report.html").write_text("")
    assert main(["info", str(tmp_path)]) == 0
    assert "a folder without a file that minikd can read" in " ".join(capsys.readouterr().out.split())

    def denied(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert "cannot be read: permission denied" in content_of(tmp_path)["error"]


def test_the_command_prints_every_file_in_80_columns(folder, capsys):
    assert main(["info", *(str(folder / name) for name in WHAT)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("checksum right") == len(WHAT)
    assert all(len(line) <= 80 for line in printed.splitlines() if line.startswith(" "))
    assert main(["info", "--json", str(folder)]) == 0
    assert [one["checksum"] for one in json.loads(capsys.readouterr().out)] == [RIGHT] * len(WHAT)


def test_damage_ends_the_command_with_2_once_all_are_told(folder, capsys):
    damaged = folder / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x7f")
    assert main(["info", str(damaged), str(folder / "nowhere.csv"), str(folder / "results.json")]) == 2
    said = capsys.readouterr()
    assert "checksum is wrong" in " ".join(said.out.split())
    assert "checksum right" in said.out
    assert said.err.startswith("minikd: error: 2 of 3 files cannot be used: ")
    assert "Traceback" not in said.err


def test_a_terminal_s_commands_in_a_file_are_shown_and_not_obeyed(folder, capsys):
    (folder / "results.json").write_text(json.dumps(RESULTS | {"name": "\x1b[2J"}))
    assert main(["info", str(folder / "results.json")]) == 0
    assert r"the run \x1b[2J" in capsys.readouterr().out


def test_a_long_line_is_folded():
    content = {"path": "p", "what": "the model " + "dense 10 · " * 20, "bytes": 10, "checksum": RIGHT, "error": ""}
    assert max(map(len, lines_of(content).splitlines())) <= 80
