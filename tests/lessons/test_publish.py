"""Notebooks of the lessons."""

import json
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="the extra is not installed: pip install '.[lessons]'")

from minikd.lessons.library import read_card
from minikd.lessons.publish import write_notebooks

LESSONS = Path(__file__).parents[2] / "lessons"


def written(name, folder):
    write_notebooks([read_card(LESSONS / f"{name}.py")], folder)
    return json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))


def test_a_notebook_names_its_kernel(tmp_path):
    assert written("01_softmax", tmp_path)["metadata"]["kernelspec"]["name"] == "python3"


def test_a_notebook_ends_with_the_exercise_and_its_check(tmp_path):
    *_, skeleton, check = ("".join(cell["source"]) for cell in written("01_softmax", tmp_path)["cells"])
    first, _, code = skeleton.partition("\n")
    assert first == "%%writefile 01_softmax.py"
    assert code == (LESSONS / "exercises" / "01_softmax.py").read_text(encoding="utf-8").rstrip()
    assert check.endswith("-m minikd check 01 01_softmax.py")


def test_a_lesson_without_an_exercise_has_no_such_cells(tmp_path):
    assert "minikd check" not in json.dumps(written("00_ten_lines", tmp_path))
