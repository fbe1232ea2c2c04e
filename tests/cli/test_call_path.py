"""How many of the package's own functions lie between the command and the loss that everything is about."""

import inspect
from pathlib import Path

import pytest

import minikd
from minikd.cli import main
from minikd.losses import distillation_loss
from tests.cli.makers import QUICK, write_data

PATH = (
    "cli/main.py main",
    "cli/distill.py run",
    "distillation/run.py distill",
    "training/loop.py fit",
    "training/loop.py step",
    "training/loop.py gradient_of",
    "methods/soft_targets.py terms",
)
"""CONTRIBUTING.md shows the same path."""


@pytest.mark.numpy_only("the path is the same on every backend")
def test_seven_functions_lead_from_the_command_to_the_loss(tmp_path, monkeypatch):
    home, found = Path(minikd.__file__).parent, []

    def loss(*arguments):
        frames = [frame for frame in reversed(inspect.stack(0)[1:]) if home in Path(frame.filename).parents]
        found.append(tuple(f"{Path(one.filename).relative_to(home).as_posix()} {one.function}" for one in frames))
        return distillation_loss(*arguments)

    monkeypatch.setattr("minikd.methods.soft_targets.distillation_loss", loss)
    monkeypatch.setattr("minikd.distillation.run.write_figures", lambda *_: {})
    data = write_data(tmp_path / "squares.npz", count=60)
    flags = ("--data", str(data), "--runs", str(tmp_path / "runs"), "--quiet")
    assert main(["distill", *flags, *QUICK, "--teacher-epochs", "1", "--student-epochs", "1"]) == 0
    assert set(found) == {PATH}


def test_the_path_stands_in_contributing():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "\n".join(f"{number}. `{step}`" for number, step in enumerate(PATH, 1)) in text
