"""evaluate, predict, gradcheck, info: what they print, in text and in JSON."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from minikd.cli import main
from minikd.cli.json_text import json_text
from minikd.distillation.finished import newest_run
from minikd.methods import build
from minikd.weights import load_model, save_model

RIGHT = """
import numpy as np

class Double:
    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, cache):
        return {factor} * dy
"""


def test_evaluate_agrees_with_the_run(finished, data, capsys):
    results = json.loads((finished / "results.json").read_text())
    files = [str(finished / f"{name}.safetensors") for name in ("teacher", "student_distilled")]
    assert main(["evaluate", *files, "--data", str(data), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    for path, name in zip(files, ("teacher", "student_distilled"), strict=True):
        for key in ("errors", "accuracy", "nll", "ece", "parameters", "macs"):
            assert rows[path][key] == pytest.approx(results[name][key])
    assert main(["evaluate", files[0], "--data", str(data)]) == 0
    printed = capsys.readouterr().out
    assert f"{results['teacher']['parameters']:,}" in printed
    assert "\n\nmeasured on the 60 test images of squares\n" in printed
    assert (rows[files[0]]["data"], rows[files[0]]["part"], rows[files[0]]["images"]) == ("squares", "test", 60)


def test_predict_shows_every_model_side_by_side(finished, tmp_path, capsys):
    pixels = np.full((12, 10), 30, np.uint8)
    pixels[2:6, 6:9] = 180
    Image.fromarray(pixels).save(tmp_path / "two.png")
    assert main(["predict", str(tmp_path / "two.png"), "--run", str(finished), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert set(answer["probabilities"]) == {"teacher", "student_baseline", "student_distilled"}
    for chances in answer["probabilities"].values():
        assert sum(chances.values()) == pytest.approx(1)
    assert main(["predict", str(tmp_path / "two.png"), "--run", str(finished), "--top", "2"]) == 0
    printed = capsys.readouterr().out
    assert "distilled student" in printed
    assert len([line for line in printed.splitlines() if "%" in line]) == 2
    assert f"export {finished} --to html" in printed.split("\nNext\n")[1].replace("\\\n    ", "")
    assert printed.startswith(f"run: {finished}\n")
    assert "two.png\ntaken as it is\n" in printed
    assert answer["run"] == str(finished)
    assert answer["prepared"] == "taken as it is"


def test_predict_draws_what_the_models_saw(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.arange(240, dtype=np.uint8).reshape(12, 20)).save(tmp_path / folder / "p.png")
    assert main(["predict", "a/p.png", "b/p.png", "--run", str(finished), "--explain"]) == 0
    printed = capsys.readouterr().out
    for name in ("seen/p.png", "seen/p-2.png"):
        assert f"what the models saw: {name}\n" in printed
        with Image.open(tmp_path / name) as drawn:
            assert drawn.width > 800
    assert main(["predict", "seen/p.png", "--run", str(finished), "--explain", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["explained"] == "seen/p-2.png"  # and the picture itself is not written over


def test_predict_takes_the_newest_run(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(finished.parent.parent)
    monkeypatch.setattr("minikd.distillation.finished.newest_run", lambda _: newest_run(finished.parent))
    Image.fromarray(np.zeros((12, 10), np.uint8)).save(tmp_path / "black.png")
    assert main(["predict", str(tmp_path / "black.png")]) == 0
    printed = capsys.readouterr()
    assert "black.png" in printed.out
    assert "minikd: note: " in printed.err
    assert printed.out.startswith(f"run: {finished}\nthe newest run with all models; --run DIR uses another\n")
    assert "black.png is blank: its pixels are all from 0 to 0" in printed.err


def test_predict_takes_several_pictures(finished, tmp_path, capsys):
    paths = [str(tmp_path / f"{shade}.png") for shade in (0, 90)]
    for path, shade in zip(paths, (0, 90), strict=True):
        Image.fromarray(np.full((12, 10), shade, np.uint8)).save(path)
    assert main(["predict", *paths, "--run", str(finished), "--json"]) == 0
    together = json.loads(capsys.readouterr().out)
    assert [answer["image"] for answer in together] == paths
    assert main(["predict", paths[1], "--run", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == together[1:]


def test_pictures_that_cannot_be_read_take_no_answer_from_the_others(finished, tmp_path, capsys):
    good = tmp_path / "good.png"
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(good)
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(b"no picture")
    paths = [str(path) for path in (tmp_path / "one.png", good, tmp_path / "two.png")]
    assert main(["predict", *paths, "--run", str(finished), "--json"]) == 2
    printed = capsys.readouterr()
    assert [answer["image"] for answer in json.loads(printed.out)] == [str(good)]
    (told,) = printed.err.splitlines()
    assert told.startswith("minikd: error: 2 of 3 pictures could not be read: ")
    assert "one.png" in told
    assert "two.png" in told


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_model_whose_answers_are_no_numbers_is_an_error(command, finished, data, tmp_path, capsys):
    model, card = load_model(finished / "teacher.safetensors")
    model.vector[:] = 3e38
    path = tmp_path / "teacher.safetensors"
    save_model(path, model, card)
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(tmp_path / "p.png")
    arguments = {
        "evaluate": ["evaluate", str(path), "--data", str(data), "--json"],
        "predict": ["predict", str(tmp_path / "p.png"), "--run", str(tmp_path), "--json"],
    }[command]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "teacher" in printed.err
    assert "NaN or infinite" in printed.err


def test_json_has_no_word_for_what_is_no_number():
    value = {"a": [float("nan"), 1.5, float("-inf")], "b": {"c": float("inf"), "d": "NaN"}}
    assert json.loads(json_text(value), parse_constant=pytest.fail) == {
        "a": [None, 1.5, None],
        "b": {"c": None, "d": "NaN"},
    }


def test_without_a_command_the_help_is_printed(capsys):
    assert main([]) == 0
    assert "distill" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["distill", "--epochs", "3"], "unknown: --epochs 3; did you mean --teacher-epochs or --student-epochs?"),
        (["distill", "--temprature=3"], "did you mean --temperature?"),
        (["evaluate", "w", "--zzz"], "see minikd evaluate --help"),
        (["--versoin"], "did you mean --version?"),
        (["distill", "--student-hidden", "a"], "'a' is not a list of whole numbers"),
    ],
)
def test_a_wrong_flag_is_answered_with_the_right_one(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_gradcheck_of_the_engine_is_all_right(capsys):
    assert main(["gradcheck"]) == 0
    assert "Conv2d" in capsys.readouterr().out


@pytest.mark.parametrize(("factor", "status"), [(2, 0), (3, 1)])
def test_gradcheck_judges_a_learners_layer(factor, status, tmp_path, capsys):
    (tmp_path / "my_layer.py").write_text(RIGHT.format(factor=factor))
    assert main(["gradcheck", f"{tmp_path / 'my_layer.py'}:Double", "--shape", "4,7"]) == status
    assert ("WRONG" in capsys.readouterr().out) == bool(status)


def test_info_names_the_backend_and_why(capsys):
    assert main(["info", "--backend", "numpy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["backend"] == "numpy"
    assert told["versions"]["numpy"] == np.__version__
    assert told["machine"]["cores"] >= 1
    assert main(["info", "--backend", "numpy"]) == 0
    assert "blas" in (printed := capsys.readouterr().out)
    assert "steps" not in printed, "there are graphs on a device alone"


def test_info_names_the_methods_whose_steps_are_no_graph(capsys, backend):
    if backend.name == "numpy":
        pytest.skip("of CuPy alone: pytest --backend cupy")
    assert main(["info"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    eager = told.split("kernel by kernel for some methods (")[1].split(": `minikd")[0].split(", ")
    assert "curriculum_temperature" in eager
    assert "soft_targets" not in eager
    assert all(build(name, {}).eager for name in eager)


OPTIONS = dict.fromkeys(("distill", "train"), "what most people need:")


@pytest.mark.parametrize(
    "command", ["distill", "train", "methods", "evaluate", "predict", "gradcheck", "compare", "bench", "info"]
)
def test_every_flag_has_a_help_line_with_its_default(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    entries = re.split(r"\n  (?=-)", capsys.readouterr().out.split(OPTIONS.get(command, "options:"))[1])[1:]
    flags = [entry for entry in entries if not entry.startswith(("-h", "--resume", "--original-recipe"))]
    assert len(flags) > 0
    for flag in flags:
        assert "(default: " in " ".join(flag.split()), flag
