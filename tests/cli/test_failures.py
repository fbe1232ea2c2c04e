"""Errors that nobody foresaw: what the user can mend ends with 2, a bug of minikd says that it is one, and is kept."""

import re
import tempfile
from pathlib import Path

import pytest

from minikd import machine
from minikd.cli import main


@pytest.fixture
def raising(monkeypatch, tmp_path):
    """A function that has `minikd info` raise an error; tracebacks go to the test's folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def prepare(error):
        def fail():
            raise error

        monkeypatch.setattr(machine, "machine", fail)

    return prepare


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory; use less data or a smaller network"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (ModuleNotFoundError("No module named 'scipy'"), "No module named 'scipy': .* install minikd again"),
        (
            PermissionError(13, "Permission denied", "a\x1bb"),
            r"a.x1bb: Permission denied; change its permissions, or use another",
        ),
        (NotADirectoryError(20, "Not a directory", b"a/b"), "a/b: Not a directory; check the path and the disk"),
        (OSError("no more"), "no more"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(error, words, raising, capsys, tmp_path):
    raising(error)
    assert main(["info"]) == 2
    assert re.fullmatch(f"minikd: error: .*{words}.*\n", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_bug_says_that_it_is_one_and_keeps_its_traceback(raising, capsys):
    raising(KeyError("lost\x1b"))
    assert main(["info"]) == 70
    said = capsys.readouterr().err
    found = re.fullmatch(
        r"minikd: error: this is a bug in minikd: KeyError: 'lost.x1b'; please report .* (\S+\.txt) .*\n", said
    )
    text = Path(found[1]).read_text(encoding="utf-8")
    assert text.startswith("Traceback")
    assert "KeyError" in text


def test_a_bugs_traceback_is_printed_where_that_is_asked_for_or_nothing_can_be_written(raising, capsys, monkeypatch):
    raising(ZeroDivisionError("here"))
    monkeypatch.setenv("MINIKD_TRACEBACK", "1")
    assert main(["info"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "this is a bug in minikd: ZeroDivisionError: here" in said
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    monkeypatch.delenv("MINIKD_TRACEBACK")
    assert main(["info"]) == 70
    assert "which MINIKD_TRACEBACK=1 prints" in capsys.readouterr().err


def test_ctrl_c_is_no_bug(raising, capsys):
    raising(KeyboardInterrupt())
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "\nminikd: stopped\n"


@pytest.mark.parametrize("word", ["help", "trian", "distil"])
def test_an_unknown_command_is_answered_with_the_known_in_one_line(word, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([word])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("minikd: error: ")
    assert word in line
    for known in ("distill", "predict", "lessons", "minikd --help"):
        assert known in line
