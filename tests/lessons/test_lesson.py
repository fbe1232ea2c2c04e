"""A lesson's claims raise when they are wrong, and its figures lie where they should."""

import re
import sys

import numpy as np
import pytest

from minikd.lessons import Lesson
from minikd.report.style import new_figure

pytestmark = pytest.mark.numpy_only("lessons are NumPy")


@pytest.fixture
def lesson(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "03_name.py")])
    monkeypatch.delenv("MINIKD_LESSONS_OUTPUT", raising=False)
    return Lesson("03_name")


def test_what_is_right_prints_a_row_each(lesson, capsys):
    lesson.close("near", np.array([1.0, 1.0 + 1e-13]), 1.0)
    lesson.true("holds", True, "7 of 7")
    lesson.caught("wrong", np.array([1.0]), np.array([2.0]))
    rows = [re.fullmatch(r"(\w+) +(\w+) \.+ (.+)", line) for line in capsys.readouterr().out.splitlines()]
    assert [row and row.groups() for row in rows] == [
        ("ok", "near", "1.0e-13"),
        ("ok", "holds", "7 of 7"),
        ("caught", "wrong", "5.0e-01"),
    ]


@pytest.mark.parametrize(
    ("claim", "words", "verdict"),
    [
        (lambda lesson: lesson.close("near", 1.1, 1.0), "must be within 1e-12", "WRONG"),
        (lambda lesson: lesson.close("near", np.nan, 1.0, within=1e9), "inf apart", "WRONG"),
        (lambda lesson: lesson.true("holds", False, "6 of 7"), "6 of 7", "WRONG"),
        (lambda lesson: lesson.true("holds", np.array(False)), "it is false", "WRONG"),
        (lambda lesson: lesson.caught("a bug", 1.0, 1.0), "not caught", "MISSED"),
        (lambda lesson: lesson.caught("a bug", 1.0005, 1.0), "not caught", "MISSED"),
    ],
)
def test_what_is_wrong_raises_after_its_row(lesson, claim, words, verdict, capsys):
    with pytest.raises(AssertionError, match=words) as raised:
        claim(lesson)
    assert "03_name" in str(raised.value)
    assert verdict in capsys.readouterr().out


def test_quick_is_the_scripts_own_flag(monkeypatch):
    for flags, quick in ((["--quick"], True), ([], False)):
        monkeypatch.setattr(sys, "argv", ["lessons/03_name.py", *flags])
        assert Lesson("03_name").quick is quick
        assert Lesson("03_name").pick(full=1, quick=2) == (2 if quick else 1)
    monkeypatch.setattr(sys, "argv", ["lessons/03_name.py", "--quik"])
    with pytest.raises(SystemExit):
        Lesson("03_name")


def test_a_notebook_asks_the_environment(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "connection.json"])
    monkeypatch.delenv("MINIKD_QUICK", raising=False)
    assert not Lesson("03_name").quick
    monkeypatch.setenv("MINIKD_QUICK", "1")
    assert Lesson("03_name").quick


def test_own_data_are_named_where_the_lesson_takes_any(monkeypatch):
    monkeypatch.delenv("MINIKD_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["lessons/03_name.py", "--data", "mine.npz"])
    assert Lesson("03_name", own_data=True).data == "mine.npz"
    with pytest.raises(SystemExit):
        Lesson("03_name")
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "connection.json"])
    assert Lesson("03_name", own_data=True).data == "mnist"
    monkeypatch.setenv("MINIKD_DATA", "mine.npz")
    assert Lesson("03_name", own_data=True).data == "mine.npz"
    assert Lesson("03_name").data == "mnist"


def test_figures_lie_beside_the_script_or_where_the_environment_says(lesson, monkeypatch, tmp_path, capsys):
    assert lesson.output == tmp_path / "output"
    monkeypatch.setenv("MINIKD_LESSONS_OUTPUT", str(tmp_path / "elsewhere"))
    other = Lesson("03_name")
    figure = new_figure(2, 2, "Nothing")
    saved = other.save(figure), other.save(figure, "again")
    assert [one.path for one in saved] == [
        tmp_path / "elsewhere" / "03_name.png",
        tmp_path / "elsewhere" / "03_name-again.png",
    ]
    assert saved[0]._repr_png_().startswith(b"\x89PNG")
    assert capsys.readouterr().out.count("figure: ") == 2


def test_a_notebooks_figures_lie_in_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py"])
    monkeypatch.delenv("MINIKD_LESSONS_OUTPUT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Lesson("03_name").output == tmp_path / "output"


def test_a_long_loop_shows_how_far_it_is(lesson, capsys):
    assert list(lesson.progress([3, 1, 2], "students")) == [3, 1, 2]
    shown = capsys.readouterr()
    assert "students" in shown.err
    assert not shown.out
