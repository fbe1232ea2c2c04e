"""`--method FILE.py:NAME` and `--data FILE.py:NAME`: kept in the recipe, found again, and refused by name."""

import json

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.cli import main
from minikd.distillation.recipe import read_recipe
from minikd.evidence.experiments.methods import with_methods
from minikd.nn.layer import KINDS
from minikd.outside import run_file
from tests.cli.makers import QUICK_STUDENT
from tests.cli.test_refusals import refused

METHOD = '''
from dataclasses import dataclass
from minikd.losses import distillation_loss, kl_divergence
from minikd.methods import MixedMethod
from minikd.settings import setting


@dataclass(frozen=True)
class Sharper(MixedMethod):
    """Soft targets whose teacher is sharpened first."""

    power: float = setting(1.5, "what the teacher's logits are multiplied by", above=0)

    def soft(self, logits, teacher_logits, temperature):
        return kl_divergence(logits, self.power * teacher_logits, temperature)


def classic(student_logits, teacher_logits, labels, temperature=4.0, alpha=0.9):
    return distillation_loss(student_logits, teacher_logits, labels, temperature, alpha)
'''

DATA = """
import minikd, numpy as np

def load():
    found = np.load({path!r})
    parts = {{name: found[name] for name in ("train_images", "train_labels", "test_images", "test_labels")}}
    return minikd.Dataset("squares", **parts, class_names=("left", "middle", "right"))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_method.py").write_text(METHOD)
    return tmp_path


@pytest.fixture
def distill(finished, data, here, monkeypatch):
    """A function that distils from the finished run's teacher, by flags, and returns the exit status."""
    monkeypatch.setattr("minikd.distillation.run.write_figures", lambda *_: {})

    def run(*flags, source=data):
        given = ("--data", str(source), "--teacher-weights", str(finished / "teacher.safetensors"), "--name", "mine")
        return main(["distill", *given, "--quiet", *QUICK_STUDENT, *flags])

    return run


def student(folder):
    return (folder / "student_distilled.safetensors").read_bytes()


def test_a_method_in_a_file_is_written_down_with_its_settings_and_its_digest(distill, here):
    assert distill("--method", "my_method.py:Sharper", "--method-arg", "power=2") == 0
    recipe = read_recipe(here / "runs" / "mine" / "config.toml").distillation
    assert recipe.method == str(here / "my_method.py:Sharper")
    assert recipe.method_args == {"temperature": 4.0, "alpha": 0.9, "schedule": "linear", "power": 2.0}
    assert len(recipe.method_digest) == 32
    assert json.loads((here / "runs" / "mine" / "results.json").read_text())["method"] == "Sharper"


def test_a_function_in_a_file_gives_the_weights_of_the_same_loss_of_minikd(distill, finished, here):
    assert distill("--method", "my_method.py:classic") == 0
    ours, theirs = (main_weights(folder) for folder in (finished, here / "runs" / "mine"))
    assert ours == theirs


def main_weights(folder):
    from minikd.weights import load_model

    return load_model(folder / "student_distilled.safetensors")[0].vector.tobytes()


def test_a_run_is_gone_on_with_by_the_same_file_and_not_by_a_changed_one(distill, here, capsys):
    assert distill("--method", "my_method.py:classic") == 0
    folder = here / "runs" / "mine"
    before = student(folder)
    (folder / "results.json").unlink()
    assert main(["distill", "--resume", str(folder), "--quiet"]) == 0
    assert student(folder) == before
    (folder / "results.json").unlink()
    (here / "my_method.py").write_text(METHOD.replace("alpha)", "alpha / 2)"))
    capsys.readouterr()
    assert main(["distill", "--resume", str(folder), "--quiet"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "my_method.py, or a file that it imports, has changed since this run began" in told
    assert "was trained with other settings: the method's file, or a file that it imports, has changed" in told
    (here / "my_method.py").unlink()
    assert "put it back" in refused(capsys, "distill", "--resume", str(folder), "--quiet")


def test_reading_a_recipe_runs_no_file(distill, here, capsys):
    (here / "loud.py").write_text("raise RuntimeError('run')\n")
    (here / "recipe.toml").write_text(f'[distillation]\nmethod = "{here / "loud.py"}:Loud"\n')
    assert read_recipe(here / "recipe.toml").distillation.method_args == {}
    assert "RuntimeError: run (loud.py, line 1" in refused(capsys, "distill", "--config", "recipe.toml")


def test_methods_shows_the_settings_of_one_in_a_file(here, data, capsys):
    assert main(["methods", "my_method.py:Sharper", "--data", str(data), "--no-search"]) == 0
    printed = capsys.readouterr().out
    assert "Sharper: Soft targets whose teacher is sharpened first" in printed
    assert "power=1.5: what the teacher's logits are multiplied by" in printed


def test_the_experiment_puts_a_method_in_a_file_beside_soft_targets_and_the_baseline(here, tmp_path):
    experiment = with_methods(["my_method.py:Sharper"])
    setup = experiment.setup("tiny", 1, tmp_path)
    names = [cell.name for cell in experiment.stages[1](setup, {}) if not cell.candidate]
    assert names == ["baseline", "soft_targets", "my_method.py:Sharper"]
    assert experiment.folder("tiny").name == "methods-my_method-Sharper-tiny"


def test_method_is_a_flag_of_the_experiment_methods_alone(here, capsys):
    told = refused(capsys, "experiment", "data", "--method", "my_method.py:Sharper")
    assert "--method is for the experiment methods, not for data" in told


@pytest.mark.parametrize(
    ("file", "name", "words"),
    [
        ("import nothing_of_that_name\n", ":X", "running bad.py raised ModuleNotFoundError: .* (bad.py, line 1"),
        ("def broken(:\n", ":X", "bad.py, line 1: "),
        ("x = 3\n", ":X", "bad.py has no 'X' (the file has no method and no function)"),
        ("x = 3\n", ":x", "bad.py:x is of type int, but must be a subclass of minikd.methods.Method"),
        ("class X: pass\n", ":X", "bad.py:X is the class X, but must be a subclass"),
        ("def f(z, v): pass\n", ":f", "f takes (z, v), but must take (student_logits, teacher_logits, labels)"),
        ("def f(z, v, y): pass\ndef g(z, v, y): pass\n", "", "bad.py does not tell which is the method"),
        ("def f(z, v, y): return z.sum(), z[:, 0]\n", ":f", "a gradient of shape (6,), but the logits have (6, 3)"),
        ("def f(z, v, y): return 0.0 * z.sum(), z * float('nan')\n", ":f", "NaN or infinity in its gradient"),
        (
            "def f(z, v, y):\n    return z / y['no']\n",
            ":f",
            "IndexError: .* (bad.py, line 2, in f: return z / y['no'])",
        ),
        ("def f(z, v, y):\n    return None\n", ":f", "f returned a NoneType, but must return the pair"),
    ],
)
def test_a_file_without_a_method_is_refused_by_name_and_line(distill, here, capsys, file, name, words):
    (here / "bad.py").write_text(file)
    capsys.readouterr()
    assert distill("--method", f"bad.py{name}") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert all(part in told for part in words.split(".*"))
    assert "Traceback" not in told
    assert not (here / "runs" / "mine").exists() or "student_distilled" not in str(list((here / "runs").rglob("*")))


def test_data_come_from_a_function_in_a_file(distill, finished, here, data):
    (here / "my_data.py").write_text(DATA.format(path=str(data)))
    assert distill(source="my_data.py:load") == 0
    assert read_recipe(here / "runs" / "mine" / "config.toml").data == str(here / "my_data.py:load")
    assert main_weights(here / "runs" / "mine") == main_weights(finished)
    assert main(["evaluate", "runs/mine/student_distilled.safetensors"]) == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "my_data.py:load gave nothing, but must be a function that returns a minikd.Dataset"),
        ("return [1]", "my_data.py:load gave a list"),
        ("return 1 / 0", "my_data.py:load raised ZeroDivisionError: division by zero (my_data.py, line 5, in load"),
        (
            "return minikd.Dataset('mine', x, y, x, y + 5, ('a', 'b'))",
            "my_data.py:load: mine, test: label 5 at sample 0 is outside 0 to 1",
        ),
        (
            "return minikd.Dataset('mine', x[:, 0], y, x, y, ('a', 'b'))",
            "mine, train: images have shape (4, 3, 3), but must be (N, C, H, W)",
        ),
    ],
)
def test_data_that_are_none_are_refused(here, capsys, body, words):
    head = "import minikd, numpy as np\nx, y = np.zeros((4, 1, 3, 3), 'uint8'), np.arange(4) % 2\n\ndef load():\n"
    (here / "my_data.py").write_text(f"{head}    {body}\n")
    assert words in refused(capsys, "distill", "--data", "my_data.py:load", "--quiet")


def test_a_missing_file_of_data_says_so(here, capsys):
    assert "nowhere.py does not exist" in refused(capsys, "distill", "--data", "nowhere.py:load")
    told = refused(capsys, "distill", "--data", "my_method.py:clasic")
    assert "my_method.py has no 'clasic'; did you mean classic?" in told


LAYERS = """
from minikd import nn

class Double(nn.Layer):
    def forward(self, x, training=False, rng=None):
        return 2 * x, None

    def backward(self, dy, cache):
        return 2 * dy, {}
"""


def test_layers_names_the_file_whose_layers_the_weights_need(here, data, capsys):
    (here / "my_layers.py").write_text(LAYERS)
    double, squares = vars(run_file(here / "my_layers.py"))["Double"], minikd.load_dataset(data)
    model = nn.Sequential(nn.Flatten(), double(), nn.Linear(120, 3, np.random.default_rng(0)))
    minikd.save("mine.safetensors", model, squares)
    KINDS.pop("my_layers:Double")  # as in another process
    evaluate = ("evaluate", "mine.safetensors", "--data", str(data))
    assert "import my_layers first, or give --layers my_layers.py" in refused(capsys, *evaluate)
    assert main([*evaluate, "--layers", "my_layers.py"]) == 0
    told = capsys.readouterr().out.replace("\\\n", " ")  # a long command goes on in the next line
    assert "export mine.safetensors --layers my_layers.py" in " ".join(told.split())
    KINDS.pop("my_layers:Double")
    assert main(["info", "mine.safetensors"]) == 2
    assert main(["info", "mine.safetensors", "--layers", "my_layers.py"]) == 0
    (here / "my_layers.py").write_text("import nothing_of_that_name")
    assert "my_layers.py raised ModuleNotFoundError" in refused(capsys, *evaluate, "--layers", "my_layers.py")
