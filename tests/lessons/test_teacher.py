"""The teacher of several lessons is trained once, kept in the user's cache, and trained again where that is damaged."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from minikd import nn
from minikd.console.notices import Notice
from minikd.data import load_dataset
from minikd.lessons import Lesson, teacher

pytestmark = pytest.mark.numpy_only("lessons are NumPy")

DIGITS = load_dataset("mnist")
SMALL = replace(
    DIGITS,
    train_images=DIGITS.train_images[:64],
    train_labels=DIGITS.train_labels[:64],
    test_images=DIGITS.test_images[:8],
    test_labels=DIGITS.test_labels[:8],
)


@pytest.fixture
def lesson(monkeypatch, tmp_path):
    """A lesson whose teacher is small, and whose cache lies in `tmp_path`/cache."""
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "12_name.py")])
    for name in ("MINIKD_LESSONS_OUTPUT", "MINIKD_QUICK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(teacher, "load_dataset", lambda name: SMALL)
    monkeypatch.setattr(teacher, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        teacher, "cnn", lambda image, classes, rng: nn.Sequential(nn.Flatten(), nn.Linear(784, classes, rng))
    )
    return Lesson("12_name")


def weights(lesson):
    return teacher.teacher_of(lesson).vector.copy()


def test_it_is_trained_once_with_a_bar(lesson, capsys):
    first = weights(lesson)
    shown = capsys.readouterr()
    assert "one is trained here on 64 images" in shown.out
    assert "epoch 2/2" in shown.err
    np.testing.assert_array_equal(weights(lesson), first)
    shown = capsys.readouterr()
    assert "an earlier lesson trained" in shown.out
    assert "epoch" not in shown.err


def test_what_decides_it_decides_which_file_is_read(lesson, monkeypatch, tmp_path, capsys):
    weights(lesson)
    monkeypatch.setattr(teacher, "PLAN", replace(teacher.PLAN, learning_rate=1e-3))
    weights(lesson)
    monkeypatch.setattr(teacher, "load_dataset", lambda name: replace(SMALL, train_labels=SMALL.train_labels[::-1]))
    weights(lesson)
    assert len([*(tmp_path / "cache").iterdir()]) == 3
    assert capsys.readouterr().out.count("trained here") == 3


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-9] + b"damaged!!", lambda data: b""])
def test_a_damaged_file_is_replaced(lesson, damage, tmp_path):
    first = weights(lesson)
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with pytest.warns(Notice, match="Another teacher is used"):
        np.testing.assert_array_equal(weights(lesson), first)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_alone(lesson, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(teacher, "cache_folder", lambda: tmp_path / "file" / "cache")
    with pytest.warns(Notice, match="could not be saved"):
        weights(lesson)


def test_lesson_10s_comes_first(lesson, tmp_path, capsys):
    other = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, np.random.default_rng(5)))
    (tmp_path / "output").mkdir()
    teacher.save(tmp_path / "output" / teacher.NAME, other, SMALL)
    np.testing.assert_array_equal(weights(lesson), other.vector)
    assert "teacher: lesson 10's" in capsys.readouterr().out


def test_quick_neither_reads_nor_writes_the_cache(lesson, tmp_path):
    lesson.quick = True
    weights(lesson)
    assert not (tmp_path / "cache").exists()


def test_the_cache_lies_where_the_users_cache_is():
    assert teacher.cache_folder().name == "lessons"
    assert "minikd" in str(teacher.cache_folder())
