"""The cells of a page: they share names, show what their last line is worth, and tell errors from the cell on."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import pytest

from minikd.errors import ConfigError, MinikdError
from minikd.lessons import browser
from minikd.lessons.browser import IMPORTED_LATE, Cells, LateImports, error_text, say_lines_at_once
from minikd.lessons.lesson import QUICK, SavedFigure
from tests.lessons.makers import write_lessons

pytestmark = pytest.mark.numpy_only("a page is NumPy")


@pytest.fixture
def cells(tmp_path, monkeypatch):
    monkeypatch.setenv(QUICK, "")
    monkeypatch.chdir(tmp_path)
    return Cells(write_lessons(tmp_path))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", "2"),
        ("x = 3", None),
        ("x = 3; x", "3"),
        ("'a'", "'a'"),
        ("None", None),
        ("", None),
        ("# a comment", None),
        ("def f():\n    return 5", None),
        ("if True:\n    7", None),
    ],
)
def test_a_cell_is_worth_its_last_line(code, value, cells):
    assert cells.run(code, 1) == value


def test_cells_share_names_with_those_above_and_run_with_quick_sizes(cells):
    cells.run("from minikd.lessons import Lesson\nquick = Lesson('01_first').quick", 1)
    assert cells.run("quick, __name__", 2) == "(True, '__main__')"


def test_a_figure_is_png(cells, tmp_path):
    (tmp_path / "it.png").write_bytes(b"PNG")
    cells.names["figure"] = SavedFigure(tmp_path / "it.png")
    assert cells.run("figure", 1) == b"PNG"


def test_a_traceback_begins_in_the_cell_and_shows_its_lines(cells):
    cells.run("def f():\n    return 1 / 0", 1)
    with pytest.raises(ZeroDivisionError) as stopped:
        cells.run("x = 1\nf()", 2)
    assert error_text(stopped.value).splitlines()[:5] == [
        "Traceback (most recent call last):",
        '  File "<cell 2>", line 2, in <module>',
        "    f()",
        '  File "<cell 1>", line 2, in f',
        "    return 1 / 0",
    ]
    assert "browser.py" not in error_text(stopped.value)


def test_a_cell_that_ran_before_is_told_from_its_earlier_self(cells):
    cells.run("def f():\n    return 1 / 0", 1)
    cells.run("g = f", 1)
    with pytest.raises(ZeroDivisionError) as stopped:
        cells.run("\ng()", 1)
    assert error_text(stopped.value).splitlines()[1:5] == [
        '  File "<cell 1, run 3>", line 2, in <module>',
        "    g()",
        '  File "<cell 1>", line 2, in f',
        "    return 1 / 0",
    ]


def test_an_error_of_syntax_names_the_line(cells):
    with pytest.raises(SyntaxError) as stopped:
        cells.run("x = 1\ny = (", 1)
    assert '"<cell 1>", line 2' in error_text(stopped.value)
    assert "browser.py" not in error_text(stopped.value)


def test_an_error_of_minikds_is_told_in_its_words_and_with_the_cell_where_one_called(cells):
    assert error_text(ConfigError("this and that")) == "this and that"
    with pytest.raises(MinikdError) as stopped:
        cells.run("from minikd.losses import softmax\nimport numpy as np\nsoftmax(np.zeros(3), 1.0)", 1)
    assert error_text(stopped.value).startswith("Traceback")
    assert "<cell 1>" in error_text(stopped.value)


def test_a_check_says_what_the_command_says(cells, capsys):
    cells.check("01_first", "def double(x):\n    return x + 2")
    said = capsys.readouterr().out
    assert "→ this adds two" in said
    assert said.endswith("\n0 right, 2 wrong, 0 to do\n")
    cells.check("01_first", "def double(x):\n    return 2 * x\n\n\ndef square(x):\n    return x * x\n")
    assert capsys.readouterr().out.endswith("\n2 right, 0 wrong, 0 to do: well done.\n")


def test_work_that_cannot_be_run_and_an_exercise_that_is_none_are_errors(cells, tmp_path):
    with pytest.raises(ConfigError, match=r"01_first\.py, line 1"):
        cells.check("01_first", "def double(x:")
    with pytest.raises(MinikdError, match="there is no exercise"):
        cells.check("../01_first", "x = 1")
    assert not (tmp_path.parent / "01_first.py").exists()


@pytest.fixture
def absent(monkeypatch, tmp_path):
    """A module that is not there until its package is loaded: a function that loads it."""
    monkeypatch.setitem(IMPORTED_LATE, "comes_late", "comes-late")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda: (tmp_path / "comes_late.py").write_text("here = True")
    sys.modules.pop("comes_late", None)


def test_a_package_is_loaded_when_it_is_first_imported(absent, monkeypatch):
    asked = []
    late = LateImports(lambda package: bool(asked.append(package) or absent()))
    monkeypatch.setattr(sys, "meta_path", [late, *sys.meta_path])
    import comes_late

    assert comes_late.here
    assert asked == ["comes-late"]
    assert np.linalg.norm([3, 4]) == 5  # what is there is found as before
    assert late.wanted == ""


def test_where_python_cannot_wait_the_import_fails_and_the_package_is_named(absent, monkeypatch):
    late = LateImports(lambda package: False)
    monkeypatch.setattr(sys, "meta_path", [late, *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match="comes_late is being loaded"):
        import comes_late
    assert late.wanted == "comes-late"
    absent()  # loaded meanwhile: the cell runs again
    import comes_late

    assert comes_late.here


def test_a_module_that_nobody_brings_is_not_found():
    late = LateImports(lambda package: pytest.fail(package))
    assert late.find_spec("no_such_module", None) is None
    assert late.find_spec("json", None) is None
    assert PathFinder.find_spec("json")


def test_each_line_is_shown_when_it_is_printed(monkeypatch):
    asked = []

    class Stream:
        def reconfigure(self, **given):
            asked.append(given)

    for name in ("stdout", "stderr"):
        monkeypatch.setattr(browser.sys, name, Stream())
    say_lines_at_once()
    assert asked == [{"line_buffering": True}] * 2


def test_what_the_pages_worker_imports_exists():
    """Its Python stands in JavaScript, where no renaming finds it."""
    worker = (Path(__file__).parents[2] / "docs" / "_static" / "run" / "worker.js").read_text()
    lines = [line.strip() for line in worker.splitlines() if line.strip().startswith("from minikd")]
    assert lines
    for line in lines:
        exec(line, {})
