"""`minikd methods`, and every method and scheme from the command line."""

import json
import re
from dataclasses import fields

import numpy as np
import pytest

from minikd import METHODS
from minikd.cli import main
from minikd.distillation.recipe import read_recipe
from minikd.distillation.results import read_results, write_results
from minikd.methods import build
from minikd.methods.listing import SCHEMES
from minikd.storage.tensors import read_tensors
from minikd.weights import load_model
from tests.cli.makers import QUICK, QUICK_STUDENT, write_data
from tests.cli.test_distill import stop_after
from tests.cli.test_refusals import refused

FITTING = [name for name in METHODS if name != "attention_transfer"]


@pytest.fixture(scope="module")
def from_teacher(finished, data, tmp_path_factory):
    """A function that distills from the finished run's teacher, and returns the run's folder."""

    def distill(name, *flags):
        runs = tmp_path_factory.mktemp("taught")
        given = ("--teacher-weights", str(finished / "teacher.safetensors"), "--runs", str(runs), "--name", name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("minikd.distillation.run.write_figures", lambda *_: {})  # seconds of a run of one
            assert main(["distill", "--data", str(data), *given, "--quiet", *QUICK_STUDENT, *flags]) == 0
        return runs / name

    return distill


def student(folder):
    return (folder / "student_distilled.safetensors").read_bytes()


def history(folder):
    """Return history.csv's rows as dictionaries."""
    names, *lines = (folder / "history.csv").read_text().splitlines()
    return [dict(zip(names.split(","), line.split(","), strict=True)) for line in lines]


@pytest.mark.parametrize("method", FITTING)
def test_every_method_teaches_a_dense_student_from_a_cnn(method, from_teacher, finished):
    folder = from_teacher(method, "--method", method)
    results = json.loads((folder / "results.json").read_text())
    assert results["method"] == method
    assert read_recipe(folder / "config.toml").distillation.method == method
    assert np.isfinite(load_model(folder / "student_distilled.safetensors")[0].vector).all()
    names = read_tensors(folder / "student_distilled.safetensors")[0].keys()
    assert names == {"1.weight", "1.bias", "3.weight", "3.bias"}
    assert (student(folder) == student(finished)) == (method == "soft_targets")


def test_a_setting_of_a_method_makes_a_difference_and_is_written_down(from_teacher):
    plain, changed = (
        from_teacher("a", "--method", "dkd"),
        from_teacher("b", "--method", "dkd", "--method-arg", "beta=2"),
    )
    assert student(plain) != student(changed)
    assert read_recipe(plain / "config.toml").distillation.method_args["beta"] == 8.0
    assert read_recipe(changed / "config.toml").distillation.method_args == {
        **read_recipe(plain / "config.toml").distillation.method_args,
        "beta": 2.0,
    }


def test_the_short_flags_are_settings_of_the_method(from_teacher):
    long = from_teacher("long", "--method-arg", "temperature=2", "--method-arg", "alpha=0.5")
    assert student(from_teacher("short", "--temperature", "2", "--alpha", "0.5")) == student(long)
    assert read_recipe(long / "config.toml").distillation.method_args["temperature"] == 2.0


def test_a_config_keeps_its_method_settings_until_another_method_is_asked_for(from_teacher, tmp_path):
    (tmp_path / "r.toml").write_text('[distillation]\nmethod = "dkd"\n[distillation.method_args]\nbeta = 2\n')
    config = ("--config", str(tmp_path / "r.toml"))
    kept = read_recipe(from_teacher("kept", *config, "--temperature", "3") / "config.toml").distillation.method_args
    assert (kept["beta"], kept["temperature"]) == (2.0, 3.0)
    other = read_recipe(from_teacher("other", *config, "--method", "hint") / "config.toml").distillation
    assert (other.method, other.method_args["temperature"]) == ("hint", 4.0)


def test_settings_in_the_short_form_of_a_config_are_read(tmp_path):
    (tmp_path / "r.toml").write_text("[distillation]\ntemperature = 2\nalpha = 1\n")
    assert read_recipe(tmp_path / "r.toml").distillation.method_args["temperature"] == 2.0
    assert read_recipe(tmp_path / "r.toml").distillation.chosen.alpha == 1.0


@pytest.mark.parametrize("method", ["hint", "curriculum_temperature", "deep_mutual_learning", "noisy_teacher"])
def test_a_method_that_trains_or_draws_goes_on_with_the_same_bits(method, from_teacher, data, finished, monkeypatch):
    """The baseline takes steps 1-12, the distilled student 13-24."""
    whole = from_teacher("whole", "--method", method)
    runs = whole.parent
    given = ("--teacher-weights", str(finished / "teacher.safetensors"), "--runs", str(runs), "--name", "cut")
    with monkeypatch.context() as patch:
        patch.setattr("minikd.training.loop.stop_requests", stop_after(17))
        assert main(["distill", "--data", str(data), *given, "--quiet", *QUICK_STUDENT, "--method", method]) == 130
    assert (runs / "cut" / "student_distilled.checkpoint").exists()
    assert main(["distill", "--resume", str(runs / "cut"), "--quiet"]) == 0
    assert student(runs / "cut") == student(whole)
    cut, never_cut = (
        [{k: v for k, v in row.items() if "second" not in k and k != "crc32"} for row in history(folder)]
        for folder in (runs / "cut", whole)
    )
    assert cut == never_cut


def test_history_tells_of_the_terms(from_teacher):
    rows = history(from_teacher("told", "--method", "hint", "--method-arg", "weight=0.1"))
    baseline, taught = rows[0], rows[-1]
    assert baseline["soft_loss"] == baseline["feature_gradient"] == baseline["cosine"] == "nan"
    assert float(baseline["hard_loss"]) > 0
    told = ("hard_loss", "hard_gradient", "soft_loss", "soft_gradient", "feature_loss", "feature_gradient")
    assert all(float(taught[name]) > 0 for name in told)
    assert -1 <= float(taught["cosine"]) <= 1


def test_an_ensemble_is_another_teacher_and_two_of_one_are_that_one(from_teacher, finished, data, tmp_path):
    other = ["train", "--data", str(data), "--runs", str(tmp_path), "--name", "other", "--seed", "5", "--quiet", *QUICK]
    assert main(other) == 0
    weights = str(tmp_path / "other" / "teacher.safetensors")
    both = from_teacher("both", "--ensemble", weights)
    assert student(both) != student(finished)
    folder = from_teacher("twice", "--ensemble", str(finished / "teacher.safetensors"))
    twice, once = (load_model(one / "student_distilled.safetensors")[0].vector for one in (folder, finished))
    np.testing.assert_allclose(twice, once, rtol=1e-3, atol=1e-4)
    assert read_recipe(both / "config.toml").distillation.ensemble == (weights,)


def test_an_assistant_and_generations_teach_one_after_the_other(from_teacher, finished):
    folder = from_teacher("chain", "--assistant", "12", "--generations", "2")
    stages = list(dict.fromkeys(row["model"] for row in history(folder)))
    assert stages == ["student_baseline", "assistant", "generation_1", "student_distilled"]
    assert load_model(folder / "assistant.safetensors")[0].layers[1].out_features == 12
    files = [student(folder), (folder / "generation_1.safetensors").read_bytes(), student(finished)]
    assert len(set(files)) == 3
    assert json.loads((folder / "results.json").read_text())["stages"].keys() == set(stages)


def test_images_without_labels_are_distilled_on(from_teacher, data, tmp_path):
    """Of 162 training images 30 keep their labels; the baseline sees them over and over."""
    folder = from_teacher("few", "--labelled", "30")
    results = json.loads((folder / "results.json").read_text())
    assert (results["dataset"]["train"], results["dataset"]["unlabelled"]) == (30, 132)
    more = from_teacher("more", "--unlabelled", str(data))
    assert json.loads((more / "results.json").read_text())["dataset"]["unlabelled"] == 180
    assert student(more) != student(folder)


def test_the_list_names_every_method_and_who_can_use_it(data, capsys):
    assert main(["methods", "--data", str(data), "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert list(found) == list(METHODS)
    assert [name for name, one in found.items() if not one["usable"]] == ["attention_transfer"]
    assert "needs maps" in found["attention_transfer"]["reason"]
    assert found["dkd"]["settings"]["beta"] == 8.0
    assert all(one["summary"] and one["help"].keys() == one["settings"].keys() for one in found.values())
    assert main(["methods", "--data", str(data)]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in METHODS)
    assert "\nattention_transfer –  " in printed
    assert "–: these networks cannot use it" in printed
    assert len(printed.splitlines()) <= 34
    assert "…" not in printed
    assert main(["methods", "attention_transfer", "--data", str(data)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for words in (
        "temperature=4.0",
        "Zagoruyko & Komodakis 2017",
        "cannot be used here: it needs maps",
        "--generations 3",
    ):
        assert words in printed


def test_the_flags_of_the_schemes_are_those_of_distill(capsys):
    with pytest.raises(SystemExit):
        main(["distill", "--help"])
    known = capsys.readouterr().out
    for flags in SCHEMES:
        assert all(flag in known for flag in re.findall(r"--[a-z-]+", flags)), flags
    settings = re.findall(r"(\w+)=", next(" ".join(one) for one in SCHEMES.items() if "method-arg" in one[0]))
    assert settings == ["final_temperature", "final_weight", "schedule"]
    assert set(settings) < {one.name for one in fields(METHODS["hint"])}


def test_every_method_says_how_a_device_takes_its_steps(data, capsys):
    assert main(["methods", "--data", str(data), "--json"]) == 0
    for one in json.loads(capsys.readouterr().out):
        why = build(one["name"], {}).eager
        assert one["steps"] == (f"taken one by one: {why}" if why else "CUDA graphs")
    assert main(["methods", "curriculum_temperature", "--data", str(data)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "on a GPU its steps are taken one by one: the host has to know the temperature of each step" in told


def test_one_method_is_listed_with_what_its_settings_mean(data, capsys):
    assert main(["methods", "dkd", "--data", str(data)]) == 0
    printed = capsys.readouterr().out
    assert "beta=8.0: weight of the other classes among themselves" in printed
    assert "soft_targets" not in printed


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--method", "dkdd"), ("method is 'dkdd'", "soft_targets, reverse_kl", "dkd")),
        (("--method", "dkd", "--method-arg", "betta=2"), ("dkd", "'betta'", "did you mean 'beta'", "temperature=4.0")),
        (("--method", "dkd", "--method-arg", "beta"), ("'beta'", "NAME=VALUE")),
        (("--method", "dkd", "--method-arg", "beta=x"), ("beta is 'x'", "number, such as 8.0")),
        (("--method", "dkd", "--method-arg", "beta=-1"), ("dkd", "beta is -1.0", "at least 0")),
        (("--method", "jensen_shannon", "--method-arg", "beta=1"), ("beta is 1.0", "less than 1")),
        (("--method", "logit_matching", "--temperature", "2"), ("logit_matching", "'temperature'", "alpha=0.9")),
        (("--method", "hint", "--method-arg", "student_layer=9"), ("student_layer is '9'", "1 linear_1", "2 relu_1")),
        (("--method", "attention_transfer"), ("needs maps", "120-8-3", "these would work: soft_targets")),
        (("--method-arg", "schedule=square"), ("schedule is 'square'", "linear, cosine")),
        (("--generations", "0"), ("--generations is 0", "at least 1")),
        (("--ensemble", "nowhere.safetensors"), ("nowhere.safetensors", "not there")),
        (("--labelled", "1"), ("labelled is 1", "3 to 159")),
        (("--method", "dkd", "--labelled", "30"), ("needs a label for each image", "these would work")),
        (("--unlabelled", "nowhere"), ("nowhere", "mnist")),
    ],
)
def test_a_method_that_cannot_be_is_refused_before_anything_is_on_the_disk(flags, words, data, tmp_path, capsys):
    said = refused(capsys, "distill", "--data", data, "--runs", tmp_path / "runs", "--quiet", *QUICK, *flags)
    for word in words:
        assert word in said, said
    assert not (tmp_path / "runs").exists()


def test_teachers_of_other_images_are_refused(finished, data, tmp_path, capsys):
    dark = tmp_path / "dark.npz"
    arrays = dict(np.load(data))
    np.savez(dark, **{name: value // 2 if "images" in name else value for name, value in arrays.items()})
    flags = ("--ensemble", finished / "teacher.safetensors", "--runs", tmp_path / "runs", "--quiet", *QUICK)
    assert "must be trained on one data set" in refused(capsys, "distill", "--data", dark, *flags)
    colour = write_data(tmp_path / "colour.npz", channels=3)
    assert "takes images (1, 12, 10)" in refused(capsys, "distill", "--data", colour, *flags)


def test_flags_and_keys_of_old_names_still_work_and_tell_the_new_ones(from_teacher, tmp_path, capsys):
    """A run of an earlier version: its config.toml, its flags, its results and what its weights were trained by."""
    settings = ("--student-weight-limit", "2", "--softness", "0.3")
    run = from_teacher("old", "--method-arg", "course=cosine", "--method-arg", "final_temperature=1", *settings)
    said = capsys.readouterr().err
    assert "the setting course is called schedule now" in said
    assert "the setting weight_limit is called max_norm now" in said
    assert "the setting softness is called min_uncertainty now" in said
    recipe = read_recipe(run / "config.toml")
    assert recipe.student.max_norm == 2.0
    assert recipe.distillation.min_uncertainty == 0.3
    assert recipe.distillation.method_args["schedule"] == "cosine"
    results = read_results(run)
    results["config"]["student"]["weight_limit"] = results["config"]["student"].pop("max_norm")
    results["config"]["distillation"]["softness"] = results["config"]["distillation"].pop("min_uncertainty")
    args = results["config"]["distillation"]["method_args"]
    args["course"] = args.pop("schedule")
    write_results(run, results)
    old = (run / "config.toml").read_text().replace("max_norm", "weight_limit").replace("min_uncertainty", "softness")
    whole, args = old.split("[distillation.method_a")
    (run / "config.toml").write_text(whole + "[distillation.method_a" + args.replace("schedule =", "course ="))
    assert main(["distill", "--resume", str(run), "--quiet"]) == 0
    said = capsys.readouterr().err
    assert "the setting course is called schedule now" in said
    assert "the setting weight_limit is called max_norm now" in said
    assert "the setting softness is called min_uncertainty now" in said
