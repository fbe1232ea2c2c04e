"""Bad flags, files and data get one line that names what was found and the fix, exit status 2, and nothing is lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minikd.cli import main
from minikd.errors import SizeError
from tests.cli.makers import QUICK, QUICK_STUDENT, write_data, write_named


def refused(capsys, *arguments):
    """Run the command, expect an error, and return what it said."""
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("minikd: error: ")
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--temperature", "0"), ("temperature is 0.0", "positive")),
        (("--temperature", "-3"), ("temperature is -3.0", "positive")),
        (("--alpha", "1.5"), ("alpha is 1.5", "0 to 1")),
        (("--teacher-epochs", "0"), ("--teacher-epochs is 0", "at least 1")),
        (("--teacher-optimizer", "sdg"), ("optimizer is 'sdg'", "sgd")),
        (("--student-schedule", "linear"), ("schedule is 'linear'", "cosine")),
        (("--teacher-model", "resnet"), ("model is 'resnet'", "cnn, deep, vgg, original")),
        (("--student-learning-rate", "nan"), ("--student-learning-rate is nan", "finite")),
        (("--teacher-momentum", "1"), ("--teacher-momentum is 1.0", "less than 1")),
        (("--teacher-label-smoothing", "1"), ("--teacher-label-smoothing is 1.0", "less than 1")),
        (("--teacher-dropout", "1"), ("--teacher-dropout is 1.0", "less than 1")),
        (("--student-scale", "2"), ("--student-scale is 2.0", "less than 1")),
        (("--teacher-warm-up", "9"), ("--teacher-warm-up is 9.0", "at most the epochs, 5")),
        (("--teacher-momentum", "0"), ("--teacher-momentum is 0.0", "nesterov needs it")),
        (("--student-hidden", "0"), ("hidden is (0,)", "above 0")),
        (("--seed", "-1"), ("seed is -1", "at least 0")),
        (("--image-size", "28"), ("--image-size is '28'", "28x28")),
        (("--backend", "tpu"), ("backend is 'tpu'", "cupy")),
        (("--data", "nowhere"), ("nowhere", "mnist")),
        (
            ("--data", "~nobody-is-called-this/x"),
            ("~nobody-is-called-this/x", "write the path of the home folder in full"),
        ),
        (("--config", "nowhere.toml"), ("nowhere.toml", "TOML")),
        (("--teacher-weights", "nowhere.safetensors"), ("nowhere.safetensors", ".safetensors")),
        (("--resume", "nowhere"), ("nowhere is not there", "--resume runs/NAME")),
        (("--student-channels", "8,16"), ("--student-channels is (8, 16)", "model is 'mlp'; set model to 'cnn'")),
        (("--student-channels", "16,32"), ("--student-channels has no effect", "model is 'mlp'; set model to 'cnn'")),
        (("--student-hidden", "64", "--student-model", "cnn"), ("--student-hidden is (64,)", "default, 128")),
        (("--student-momentum", "0.8"), ("optimizer is 'adam'; set optimizer to 'sgd' or 'nesterov'",)),
        (("--quantize-steps", "fixed"), ("--quantize-steps is 'fixed'", "quantize is 'none'; set quantize to 'int8'")),
        (("--teacher-weights", "a.safetensors", "--teacher-epochs", "3"), ("--teacher-epochs has no effect",)),
        (
            ("--data", "x.npz", "--teacher-momentum", "0.8"),
            ("teacher.momentum is 0.8, but the search chooses teacher.optimizer", "set teacher.optimizer too"),
        ),
        (
            ("--method", "label_smoothing", "--assistant", "30"),
            ("--assistant is (30,)", "label_smoothing uses no teacher", "default, none"),
        ),
        (
            ("--method", "virtual_teacher", "--min-uncertainty", "0.3"),
            ("--min-uncertainty is 0.3", "virtual_teacher uses no teacher", "default, 0.0"),
        ),
        (("--method-arg", "schedule=cosine"), ("schedule is 'cosine'", "final_temperature or final_alpha")),
    ],
)
def test_a_bad_flag_is_named_with_its_fix(flags, words, capsys, tmp_path):
    said = refused(capsys, "distill", "--runs", tmp_path / "runs", "--quiet", *flags)
    for word in words:
        assert word in said
    assert not (tmp_path / "runs").exists()


def test_a_refused_run_leaves_no_folder(capsys, tmp_path):
    refused(capsys, "distill", "--runs", tmp_path / "runs", "--data", "nowhere", "--quiet")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed = ", ("is not a recipe in TOML", "correct it there, or give another file")),
        ("sed = 1", ("unknown setting 'sed'", "did you mean 'seed'")),
        ("[student]\nepoch = 3", ("[student]", "did you mean 'epochs'")),
        ("[student]\nepochs = 2.5", ("epochs is 2.5", "int")),
        ("[student]\nhidden = [1.5]", ("hidden is (1.5,)", "whole numbers")),
        ("teacher = 3", ("teacher is 3", "[teacher]")),
        ("[distillation]\nalpha = 2", ("alpha is 2.0",)),
    ],
)
def test_a_bad_config_is_named_with_its_place(text, words, capsys, tmp_path):
    (tmp_path / "bad.toml").write_text(text)
    said = refused(capsys, "distill", "--config", tmp_path / "bad.toml", "--runs", tmp_path, "--quiet")
    assert "bad.toml" in said
    for word in words:
        assert word in said


def test_a_folder_is_never_overwritten(finished, data, capsys):
    before = (finished / "results.json").read_bytes()
    said = refused(
        capsys, "distill", "--data", data, "--runs", finished.parent, "--name", finished.name, "--quiet", *QUICK
    )
    assert f"--resume {finished}" in said
    assert (finished / "results.json").read_bytes() == before


@pytest.mark.parametrize("name", ["../../x", "/elsewhere/x", "..", "", "a\nb", "x" * 300, "con", ".hidden"])
@pytest.mark.parametrize("command", ["distill", "train"])
def test_a_name_that_would_leave_the_runs_is_refused(command, name, data, tmp_path, capsys):
    place = tmp_path / "a" / "b"
    said = refused(capsys, command, "--data", data, "--runs", place / "runs", "--name", name, "--quiet", *QUICK)
    assert f"--name is {name!r}, but it " in said
    assert not list(tmp_path.iterdir())


def test_a_taken_name_with_a_space_is_quoted(finished, data, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "my run")
    flags = ("--data", data, "--runs", tmp_path, "--name", "my run", "--quiet", *QUICK)
    assert f"go on with it by --resume '{tmp_path}/my run', or" in refused(capsys, "distill", *flags)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_run_is_not_gone_on_with(kind, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    said = refused(capsys, "distill", "--resume", tmp_path / kind, "--quiet")
    assert {"file": "is a file, not the folder of a run", "folder": "has no config.toml, so it holds no run"}[
        kind
    ] in said


def test_a_link_out_of_a_run_is_not_written_through(finished, tmp_path, capsys):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    shutil.move(run / "figures", tmp_path / "mine")
    (tmp_path / "mine" / "confusion_matrix.svg").unlink()
    (run / "figures").symlink_to(tmp_path / "mine")
    assert "figures is a link to" in refused(capsys, "distill", "--resume", run, "--quiet")
    assert not (tmp_path / "mine" / "confusion_matrix.svg").exists()


def test_a_finished_run_whose_settings_were_changed_says_so(finished, tmp_path, capsys):
    run = Path(shutil.copytree(finished, tmp_path / "my run"))
    config = run / "config.toml"
    config.write_text(config.read_text().replace("seed = 0", "seed = 1"))
    for command in (("distill",), ("train",), ("train", "--model", "baseline")):
        said = refused(capsys, *command, "--resume", run, "--quiet")
        assert "results of other settings than its config.toml has now: seed was 0 and is 1; restore that" in said
        assert f"minikd distill --config '{config}'" in said


def test_a_run_that_diverges_says_where_what_was_finished_is(data, tmp_path, capsys):
    flags = ("--student-learning-rate", "1e30", "--student-optimizer", "sgd", "--runs", tmp_path, "--name", "x y")
    with np.errstate(all="ignore"):
        said = refused(capsys, "distill", "--data", data, *QUICK, *flags, "--quiet")
    assert f"--teacher-weights '{tmp_path}/x y-diverged/teacher.safetensors'\n" in said
    assert "--resume" not in said
    assert main(["runs", str(tmp_path)]) == 0
    assert "there are no runs in " in capsys.readouterr().out


def test_a_run_that_fails_on_its_way_says_how_to_go_on(data, tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise SizeError("there is no memory")

    monkeypatch.setattr("minikd.distillation.job.asking", full)
    flags = ("--runs", tmp_path, "--name", "x y")
    said = refused(capsys, "distill", "--data", data, *QUICK, *flags, "--quiet")
    assert "finished parts are kept; continue with:\n  " in said
    assert f"distill --resume '{tmp_path}/x y'\n" in said
    assert (tmp_path / "x y" / "teacher.safetensors").exists()


def test_settings_beside_resume_are_refused(finished, capsys):
    assert "temperature" in refused(capsys, "distill", "--resume", finished, "--temperature", "3", "--quiet")
    said = refused(
        capsys, "distill", "--resume", finished, "--temperature", "3", "--teacher-epochs", "3", "--no-search"
    )
    assert all(flag in said for flag in ("--temperature", "--teacher-epochs", "--no-search"))


def test_data_that_changed_is_not_gone_on_with(data, tmp_path, capsys):
    changed = tmp_path / "changed.npz"
    changed.write_bytes(data.read_bytes())
    arguments = ["distill", "--data", str(changed), "--runs", str(tmp_path), "--name", "cut", "--quiet", *QUICK]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minikd.training.loop.stop_requests", stopped_at_once)
        assert main(arguments) == 130
    write_data(changed, count=248)
    assert "images are others" in refused(capsys, "distill", "--resume", tmp_path / "cut", "--quiet")
    assert (tmp_path / "cut" / "teacher.checkpoint").exists()


def stopped_at_once():
    """A `stop_requests` that always asks for a stop."""
    from contextlib import contextmanager

    @contextmanager
    def requests():
        yield lambda: True

    return requests()


def test_weights_of_other_data_are_refused_as_teacher(finished, tmp_path, capsys):
    other = write_data(tmp_path / "other.npz", classes=4, size=(9, 9))
    given = ("--teacher-weights", finished / "teacher.safetensors")
    said = refused(capsys, "distill", "--data", other, *given, "--runs", tmp_path, "--quiet", *QUICK_STUDENT)
    assert "3 classes" in said
    assert "4 classes" in said


@pytest.mark.parametrize("where", ["--teacher-weights", "--ensemble"])
def test_a_teacher_of_other_classes_is_refused_with_both_lists(where, tmp_path, capsys):
    theirs, ours = ("bird", "cat", "dog"), ("a dog", "bird", "cat")
    flags = ("--runs", tmp_path / "runs", "--quiet", *QUICK_STUDENT)
    data = write_named(tmp_path / "theirs.npz", theirs)
    assert main([*map(str, ("train", "--data", data, "--name", "t", "--teacher-epochs", "2", *flags))]) == 0
    weights = tmp_path / "runs" / "t" / "teacher.safetensors"
    other = write_named(tmp_path / "ours.npz", ours)
    said = refused(capsys, "distill", "--data", other, where, weights, "--name", "s", *flags)
    assert f"{weights} knows other classes than ours has: 'dog', where the data has 'a dog' (2 more in common)" in said
    assert not (tmp_path / "runs" / "s").exists()
    assert "'dog', where the data has 'a dog'" in refused(capsys, "evaluate", weights, "--data", other)
    assert "'dog', where the data has 'a dog'" in refused(capsys, "methods", "--data", other, where, weights)


def test_images_too_small_for_the_teacher_say_so(tmp_path, capsys):
    small = write_data(tmp_path / "small.npz", size=(3, 12))
    assert "3x12" in refused(capsys, "distill", "--data", small, "--runs", tmp_path, "--quiet", *QUICK)


def test_a_learning_rate_that_explodes_stops_with_advice(data, tmp_path, capsys):
    flags = ("--teacher-learning-rate", "1e30", "--teacher-optimizer", "sgd", "--runs", tmp_path, "--quiet")
    with np.errstate(all="ignore"):
        said = refused(capsys, "distill", "--data", data, *QUICK, *flags)
    assert "lower the learning rate" in said
    assert "go on" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x08\0\0\0\0\0\0\0{}"])
def test_broken_weights_are_named(content, tmp_path, capsys):
    (tmp_path / "w.safetensors").write_bytes(content)
    assert "w.safetensors" in refused(capsys, "evaluate", tmp_path / "w.safetensors")


def test_an_unreadable_picture_is_named(finished, tmp_path, capsys):
    (tmp_path / "p.png").write_bytes(b"no picture")
    assert "p.png" in refused(capsys, "predict", tmp_path / "p.png", "--run", finished)


def test_predict_without_a_run_says_how_to_make_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "minikd distill" in refused(capsys, "predict", tmp_path / "p.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict", "p.png", "--top", "0"), "--top is 0"),
        (("gradcheck", "--seed", "-1"), "--seed is -1"),
        (("gradcheck", "--shape", "3,3"), "--shape is for your own layer; give the layer too"),
        (("compare", "--seed", "-1"), "--seed is -1"),
        (("gpu-check", "--steps", "0"), "--steps is 0"),
    ],
)
def test_a_number_below_its_least_is_named(arguments, words, capsys):
    assert words in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", "{"),
        ("results.json", "[]"),
        ("history.csv", "{names}\nteacher,1\n"),
        ("history.csv", "{names}\nteacher,1,a,2,3,4,5,6,7\n"),
    ],
)
def test_a_broken_file_of_a_run_is_named(name, content, finished, tmp_path, capsys):
    names = (finished / "history.csv").read_text().splitlines()[0]
    (tmp_path / "config.toml").write_bytes((finished / "config.toml").read_bytes())
    (tmp_path / name).write_text(content.replace("{names}", names))
    assert f"{name}" in refused(capsys, "distill", "--resume", tmp_path, "--quiet")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_named(finished, tmp_path):
    Image.fromarray(np.zeros((12, 10), np.uint8)).save(tmp_path / "p.png")
    command = [sys.executable, "-m", "minikd", "predict", str(tmp_path / "p.png"), "--run", str(finished)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0
    assert "minikd: error: [Errno 28] No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shape_that_is_none_is_named(tmp_path, capsys):
    (tmp_path / "layer.py").write_text("class L: ...")
    assert "--shape is '2x3'" in refused(capsys, "gradcheck", f"{tmp_path / 'layer.py'}:L", "--shape", "2x3")
