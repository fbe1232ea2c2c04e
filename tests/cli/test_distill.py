"""`minikd distill`: what a run leaves behind, that it repeats, stops and goes on."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minikd import Bars
from minikd.cli import main
from minikd.cli.flags import add_recipe_flags, recipe_of
from minikd.cli.next_steps import as_typed
from minikd.cli.run_flags import add_run_flags
from minikd.console.notices import Notice
from minikd.distillation import networks, run
from minikd.distillation.history import read_history
from minikd.distillation.recipe import SEAL, SEARCHED, Recipe, original_recipe, read_recipe
from minikd.weights import load_model, save_model
from tests.cli.makers import QUICK, QUICK_STUDENT, write_data

MODELS = ("teacher", "student_baseline", "student_distilled")
PER_MODEL = {
    "parameters",
    "bytes",
    "macs",
    "errors",
    "errors_interval",
    "accuracy",
    "nll",
    "ece",
    "images_per_second",
    "latency_ms",
}


def weights(folder):
    return {name: (folder / f"{name}.safetensors").read_bytes() for name in MODELS}


def test_a_run_leaves_everything_behind(finished):
    for name in ("config.toml", "history.csv", "results.json", "report.html", *(f"{m}.safetensors" for m in MODELS)):
        assert (finished / name).stat().st_size > 0, name
    assert len(list((finished / "figures").glob("*.svg"))) == 12
    assert not list(finished.glob("*.checkpoint"))
    assert [path.name for path in finished.glob(".*")] == [".lock"]


def test_results_hold_what_the_readme_documents(finished, backend):
    results = json.loads((finished / "results.json").read_text())
    for model in MODELS:
        assert results[model].keys() >= PER_MODEL
        assert results[model]["accuracy"] == pytest.approx(1 - results[model]["errors"] / 60)
    assert "agreement" in results["student_baseline"]
    assert "agreement" not in results["teacher"]
    assert results.keys() >= {"mcnemar_p", "seconds", "backend", "versions"}
    assert results["backend"] == backend.name
    assert 0 <= results["mcnemar_p"] <= 1
    assert results["student_distilled"]["parameters"] == 120 * 8 + 8 + 8 * 3 + 3


def test_history_has_a_line_for_each_epoch_of_each_model(finished):
    lines = (finished / "history.csv").read_text().splitlines()[1:]
    assert [line.split(",")[:2] for line in lines] == [[model, str(e)] for model in MODELS for e in (1, 2)]


def test_the_config_alone_repeats_the_run_bit_for_bit(finished, tmp_path):
    arguments = ["distill", "--config", str(finished / "config.toml"), "--runs", str(tmp_path), "--name", "again"]
    assert main([*arguments, "--quiet"]) == 0
    assert weights(tmp_path / "again") == weights(finished)


def test_a_config_repeats_the_run_in_any_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(data.parent)
    arguments = ["--name", "near", "--quiet", *QUICK]
    assert main(["train", "--data", data.name, "--runs", str(tmp_path), *arguments]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--config", "near/config.toml", "--name", "far", "--quiet"]) == 0
    weights = [path.read_bytes() for path in tmp_path.rglob("teacher.safetensors")]
    assert len(weights) == 2
    assert weights[0] == weights[1]


def test_another_seed_is_another_run(finished, data, tmp_path):
    arguments = ["distill", "--data", str(data), "--runs", str(tmp_path), "--name", "other", "--seed", "1", "--quiet"]
    assert main([*arguments, *QUICK]) == 0
    assert weights(tmp_path / "other")["teacher"] != weights(finished)["teacher"]


def test_both_students_start_alike_and_end_apart(finished):
    recipe = read_recipe(finished / "config.toml")
    job = run.Job(recipe, finished, networks.prepared(recipe))
    student = networks.distilled_networks(recipe, job.data.dataset)["student_distilled"]
    assert (student.vector == job.first_student.vector).all()
    assert weights(finished)["student_baseline"] != weights(finished)["student_distilled"]


def test_a_finished_run_is_not_run_again(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert main(["distill", "--resume", str(finished), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((finished / "results.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_a_finished_run_without_a_models_file_says_so(finished, tmp_path, capsys):
    folder = Path(shutil.copytree(finished, tmp_path / "my run"))
    (folder / "student_baseline.safetensors").unlink()
    assert main(["distill", "--resume", str(folder), "--quiet"]) == 0
    said = capsys.readouterr().err
    assert f"note: {folder} no longer holds student_baseline.safetensors; its results stay" in said
    assert f"minikd distill --config '{folder}/config.toml'" in said


@pytest.mark.parametrize("after", [1, 7, 12, 13, 19, 29])
def test_a_run_stopped_anywhere_goes_on_with_the_same_bits(after, finished, data, tmp_path, monkeypatch, capsys):
    """Steps 1-12 are the teacher's, 13-24 the baseline's, 25-36 the distilled student's."""
    arguments = ["distill", "--data", str(data), "--runs", str(tmp_path), "--name", "cut", "--quiet", *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("minikd.training.loop.stop_requests", stop_after(after))
        assert main(arguments) == 130
    assert f"minikd distill --resume {tmp_path / 'cut'}" in capsys.readouterr().err
    assert not (tmp_path / "cut" / "results.json").exists()
    assert main(["distill", "--resume", str(tmp_path / "cut"), "--quiet"]) == 0
    assert weights(tmp_path / "cut") == weights(finished)
    columns = [line.split(",")[:5] for line in (tmp_path / "cut" / "history.csv").read_text().splitlines()]
    assert columns == [line.split(",")[:5] for line in (finished / "history.csv").read_text().splitlines()]


def stop_after(steps):
    """Return a `stop_requests` that asks for a stop once so many steps have been asked about, over all models."""
    from contextlib import contextmanager

    asked = iter(range(10**6))

    @contextmanager
    def stop_requests():
        yield lambda: next(asked) >= steps

    return stop_requests


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(data, tmp_path):
    flags = [*QUICK, "--teacher-epochs", "100000", "--quiet"]
    command = [sys.executable, "-m", "minikd", "distill", "--data", str(data), "--runs", str(tmp_path), "--name", "x"]
    process = subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True, env={**os.environ})
    deadline = time.monotonic() + 60
    while not (tmp_path / "x" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"minikd distill --resume {tmp_path / 'x'}" in said
    assert (tmp_path / "x" / "teacher.checkpoint").exists()
    assert "Traceback" not in said


@pytest.mark.numpy_only("the processes run on NumPy")
def test_three_seeds_started_at_once_are_three_runs(data, tmp_path):
    begin = [sys.executable, "-m", "minikd", "train", "--data", str(data), "--runs", str(tmp_path), "--quiet", *QUICK]
    processes = [subprocess.Popen([*begin, "--seed", str(seed)], stdout=subprocess.DEVNULL) for seed in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    runs = list(tmp_path.iterdir())
    assert len(runs) == 3
    assert all(path.name.startswith("squares-") for path in runs)
    assert {json.loads((path / "results.json").read_text())["seed"] for path in runs} == {0, 1, 2}


def test_a_given_teacher_is_not_trained(finished, data, tmp_path):
    given = str(finished / "teacher.safetensors")
    flags = ["--teacher-weights", given, "--runs", str(tmp_path), "--name", "given", "--quiet", *QUICK_STUDENT]
    assert main(["distill", "--data", str(data), *flags]) == 0
    assert "teacher," not in (tmp_path / "given" / "history.csv").read_text()
    assert weights(tmp_path / "given")["student_distilled"] == weights(finished)["student_distilled"]


def test_weights_in_float64_serve_every_command_in_float32(finished, data, tmp_path, capsys):
    model, card = load_model(finished / "teacher.safetensors")
    save_model(tmp_path / "teacher.safetensors", model.astype("float64"), card)
    given = str(tmp_path / "teacher.safetensors")
    flags = ["--teacher-weights", given, "--runs", str(tmp_path), "--name", "given", "--quiet", *QUICK_STUDENT]
    assert main(["distill", "--data", str(data), *flags]) == 0
    assert weights(tmp_path / "given")["student_distilled"] == weights(finished)["student_distilled"]
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(tmp_path / "p.png")
    for command in (
        ["evaluate", given, "--data", str(data)],
        ["predict", str(tmp_path / "p.png"), "--run", str(tmp_path)],
        ["export", given, "--data", str(data), "--to", "c"],
        ["info", given],
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            assert main(command) == 0, capsys.readouterr().err


def test_colour_images_of_another_size_and_class_count_train(tmp_path):
    data = write_data(tmp_path / "colour.npz", classes=4, channels=3, size=(9, 14))
    assert main(["distill", "--data", str(data), "--runs", str(tmp_path), "--name", "c", "--quiet", *QUICK]) == 0
    results = json.loads((tmp_path / "c" / "results.json").read_text())
    assert results["dataset"]["image_shape"] == [3, 9, 14]
    assert results["dataset"]["classes"] == 4


def test_an_augmented_transfer_set_is_distilled_live(data, tmp_path):
    flags = ["--student-shift", "1", "--runs", str(tmp_path), "--name", "live", "--quiet", *QUICK]
    assert main(["distill", "--data", str(data), *flags]) == 0
    assert read_recipe(tmp_path / "live" / "config.toml").student.augmentation is not None


def test_train_makes_one_model_and_distill_goes_on_from_it(data, tmp_path, finished, capsys):
    arguments = ["--data", str(data), "--runs", str(tmp_path), "--name", "steps", "--quiet", *QUICK]
    assert main(["train", *arguments]) == 0
    assert "test" in capsys.readouterr().out
    assert set(json.loads((tmp_path / "steps" / "results.json").read_text())) >= {"teacher", "seed", "versions"}
    assert main(["distill", "--resume", str(tmp_path / "steps"), "--quiet"]) == 0
    assert weights(tmp_path / "steps") == weights(finished)


@pytest.mark.parametrize("flags", [(), ("--no-graph",)], ids=str)
def test_a_run_says_how_its_steps_were_taken(flags, data, tmp_path, finished, backend):
    arguments = ["--data", str(data), "--runs", str(tmp_path), "--name", "told", "--quiet", *QUICK, *flags]
    assert main(["distill", *arguments]) == 0
    assert weights(tmp_path / "told") == weights(finished), "a graph changes no bit"
    rows = read_history(tmp_path / "told" / "history.csv")
    told = json.loads((tmp_path / "told" / "results.json").read_text()).get("steps")
    if backend.name == "numpy":
        assert ({row["steps"] for row in rows}, told) == ({"host"}, None)
    elif flags:
        assert {row["steps"] for row in rows} == {"eager"}
        assert told == dict.fromkeys(MODELS, "one by one: asked for by --no-graph")
    else:
        assert {row["steps"] for row in rows} == {"graph"}
        assert told == dict.fromkeys(MODELS, "CUDA graphs")


def test_old_names_of_flags_and_models_are_taken_with_a_note(data, tmp_path, capsys):
    begin = ["--runs", str(tmp_path), "--dry-run"]
    assert main(["train", "--model", "student", "--data", str(data), *begin, *QUICK]) == 0
    assert "note: --model student is called baseline now" in capsys.readouterr().err
    assert main(["distill", "--seed-recipe", "--data", str(data), "--image-size", "28x28", *begin]) == 0
    told = capsys.readouterr()
    assert "note: --seed-recipe is called --original-recipe now" in told.err
    assert 'model = "original"' in told.out


@pytest.mark.parametrize("flag", ["--softness", "--min-uncertainty"])
def test_the_search_does_not_change_a_setting_that_a_flag_gives_under_any_of_its_names(flag, data):
    parser = argparse.ArgumentParser()
    add_recipe_flags(parser)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)  # the old name's
        recipe = recipe_of(parser.parse_args(["--data", str(data), flag, "0.2"]))
    assert recipe.distillation.min_uncertainty == 0.2
    assert recipe.search == tuple(name for name in SEARCHED if name != "distillation.min_uncertainty")


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ((), ("student.epochs", "student.hidden")),
        (("--student-epochs", "3"), ("student.hidden",)),
        (("--no-search",), ()),
        (("--quick",), ()),
    ],
)
def test_a_search_in_a_recipe_leaves_out_what_flags_decide(flags, left, data, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('search = ["student.epochs", "student.hidden"]')
    parser = argparse.ArgumentParser(add_help=False)
    add_run_flags(parser, "distill")
    arguments = ["--config", str(path), "--data", str(data), *flags]
    assert recipe_of(parser.parse_args(arguments)).search == left


def test_results_of_the_old_names_are_those_of_the_new(data, tmp_path):
    flags = ["--data", str(data), "--runs", str(tmp_path), "--name", "old", "--quiet", *QUICK]
    assert main(["train", *flags, "--teacher-model", "original", "--image-size", "28x28"]) == 0
    for name in ("config.toml", "results.json"):
        text = (tmp_path / "old" / name).read_text()
        old = text.replace('"original"', '"seed"')
        assert old != text
        old = "".join(line for line in old.splitlines(keepends=True) if not line.startswith(SEAL))
        table = json.loads(old) if name == "results.json" else {}
        table.pop("sha256", None)
        (tmp_path / "old" / name).write_text(json.dumps(table) if table else old)
    with pytest.warns(Notice, match="model seed is called original now"):
        assert read_recipe(tmp_path / "old" / "config.toml").teacher.model == "original"
    assert main(["train", "--resume", str(tmp_path / "old"), "--quiet"]) == 0


def test_train_adds_to_the_results_and_takes_nothing_away(finished, data, tmp_path, capsys):
    before = (finished / "results.json").read_bytes()
    assert main(["train", "--resume", str(finished), "--model", "baseline", "--quiet"]) == 0
    assert (finished / "results.json").read_bytes() == before
    arguments = ["--data", str(data), "--runs", str(tmp_path), "--name", "two", "--quiet", *QUICK]
    assert main(["train", *arguments]) == 0
    assert main(["train", "--resume", str(tmp_path / "two"), "--model", "baseline", "--quiet"]) == 0
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert results.keys() >= {"teacher", "student_baseline"}
    assert results["stages"].keys() == {"teacher", "student_baseline"}


@pytest.mark.parametrize(
    ("program", "known", "words"),
    [
        (".venv/bin/minikd", None, ".venv/bin/minikd"),
        ("bin/minikd", "bin/minikd", "minikd"),
        ("lib/minikd/__main__.py", None, f"{sys.executable} -m minikd"),
        ("pytest", None, "minikd"),
    ],
)
def test_the_command_to_go_on_is_called_as_this_one_was(program, known, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (program, known):
        if path:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    monkeypatch.setattr("sys.argv", [program])
    monkeypatch.setattr("shutil.which", lambda name: known)
    assert as_typed() == words


def test_the_original_recipe_prints_its_tables_beside_the_published(data, tmp_path, monkeypatch, capsys):
    quick = replace(original_recipe(), data=str(data), backend="auto")
    small = {"image_size": "28x28"}
    monkeypatch.setattr("minikd.cli.flags.original_recipe", lambda: replace(quick, **small))
    monkeypatch.setattr("minikd.distillation.run.original_recipe", lambda: replace(quick, **small))
    assert main(["distill", "--original-recipe", "--runs", str(tmp_path), "--name", "seed", "--quiet"]) == 0
    printed = capsys.readouterr().out
    for published in ("98.59", "97.31", "96.50", "97.12"):
        assert published in printed


def test_progress_says_who_trains_how_fast_and_how_long(data, tmp_path, capsys):
    assert main(["distill", "--data", str(data), "--runs", str(tmp_path), "--name", "bars", *QUICK]) == 0
    said = capsys.readouterr().err
    assert "teacher 1/2 " in said
    assert "left, job " in said
    assert "teacher            epoch 2/2  loss " in said
    assert "validation accuracy" in said
    lines = [line for line in said.splitlines() if not line.startswith("run folder: ")]  # a path stays whole
    assert max(len(part.rstrip()) for line in lines for part in line.split("\r")) <= 80


def test_recipes_survive_their_file(tmp_path):
    recipe = replace(Recipe(), student=replace(Recipe().student, hidden=(800, 800), learning_rate=0.1 + 0.2))
    (tmp_path / "r.toml").write_text(recipe.to_toml())
    assert read_recipe(tmp_path / "r.toml") == recipe


def test_bars_do_nothing_before_they_start():
    bars = Bars()
    bars.on_step(None, None)
    bars.on_end(None)
    assert bars.bar is None
