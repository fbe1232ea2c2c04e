"""`minikd lessons` lists, `minikd check` copies once, checks, and says how to go on."""

import pytest

from minikd.cli import main
from minikd.lessons import publish
from tests.lessons.makers import write_lessons

pytestmark = pytest.mark.numpy_only("exercises are NumPy")

RIGHT = "def double(x):\n    return 2 * x\n\n\ndef square(x):\n    return x * x\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_lessons_are_listed_with_minutes_and_needs(here, capsys):
    assert main(["lessons"]) == 0
    told = capsys.readouterr().out
    assert [line.split() for line in told.splitlines()[2:4]] == [
        ["1", "Lesson", "01_first", "&", "more", "5", "1", "nothing."],
        ["2", "Lesson", "02_second", "&", "more", "5", "1", "nothing."],
    ]
    for word in ("lessons/01_softmax.py", "check 01", "--html", "--notebooks"):
        assert word in told
    assert main(["lessons", "02"]) == 0
    assert "01_first" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lessons", "3"), ("there is no '3'", "02_second")),
        (("lessons", "01_frist"), ("did you mean 01_first?",)),
        (("lessons", "--quick"), ("--quick is for --html",)),
        (("lessons", "--port", "8000"), ("--port would have no effect without --serve",)),
        (("lessons", "--quick", "--notebooks", "books"), ("--quick is for --html",)),
        (("lessons", "1", "--html", "site"), ("the whole site",)),
        (("check", "3"), ("there is no '3'", "02_second")),
        (("check", "1", "nowhere.py"), ("nowhere.py is not a file", "work/01_first.py")),
    ],
)
def test_what_cannot_be_is_refused_with_the_fix(arguments, words, here, capsys):
    assert main([*arguments]) == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said
    assert not (here / "work").exists()


@pytest.mark.parametrize(("command", "flag", "meant"), [("lessons", "--htlm", "--html"), ("check", "--hepl", "--help")])
def test_a_mistyped_flag_is_answered_with_the_one_that_is_meant(command, flag, meant, here, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, flag, "x"])
    assert stopped.value.code == 2
    assert f"did you mean {meant}" in capsys.readouterr().err


def test_without_the_extra_the_error_names_it(here, monkeypatch, capsys):
    monkeypatch.setattr(publish, "MODULES", ("numpy", "no_such_module"))
    assert main(["lessons", "--html", "site"]) == 2
    said = capsys.readouterr().err
    assert "not installed: no_such_module" in said
    assert "[lessons]" in said
    assert not (here / "site").exists()


def test_the_first_check_copies_the_skeleton(here, capsys):
    assert main(["check", "1"]) == 1
    told = capsys.readouterr().out
    mine = here / "work" / "01_first.py"
    assert mine.read_bytes() == (here / "lessons" / "exercises" / "01_first.py").read_bytes()
    assert "work/01_first.py is new" in told
    assert told.count("\nto do   ") == 2
    assert "\n0 right, 0 wrong, 2 to do: work/01_first.py\n" in told
    assert "\nNext\n" in told
    assert "check 01" in told.split("\nNext\n")[1]


def test_work_is_never_overwritten(here, capsys):
    (here / "work").mkdir()
    (here / "work" / "01_first.py").write_text(RIGHT.replace("2 * x", "x + 2"))
    for _ in range(2):
        assert main(["check", "01"]) == 1
        told = capsys.readouterr().out
        assert "is new" not in told
        assert "→ this adds two" in told
        assert "\n1 right, 1 wrong, 0 to do: work/01_first.py\n" in told
    assert "x + 2" in (here / "work" / "01_first.py").read_text()


def test_the_first_function_that_is_wrong_is_where_to_begin(here, capsys):
    (here / "mine.py").write_text(RIGHT.replace("2 * x", "x + 2").replace("x * x", "x + 1"))
    assert main(["check", "1", "mine.py"]) == 1
    assert "once double is better (begin with it)" in " ".join(capsys.readouterr().out.split("\nNext\n")[1].split())


def test_all_right_leads_to_the_next_lesson(here, capsys):
    (here / "mine.py").write_text(RIGHT)
    assert main(["check", "1", "mine.py"]) == 0
    told = capsys.readouterr().out
    assert "\n2 right, 0 wrong, 0 to do: mine.py: well done.\n\nNext\n" in told
    assert "lessons/02_second.py the next lesson" in " ".join(told.split())
    assert main(["check", "2", "mine.py"]) == 0
    assert "the last exercise" in capsys.readouterr().out
    assert not (here / "work").exists()


def test_work_that_does_not_run_is_an_error_with_its_line(here, capsys):
    (here / "work").mkdir()
    (here / "work" / "01_first.py").write_text("def double(x:\n    return\n")
    assert main(["check", "1"]) == 2
    assert "01_first.py, line 1" in capsys.readouterr().err


def test_without_a_number_all_exercises_are_listed_with_their_state(here, capsys):
    assert main(["check"]) == 0
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:4]] == [
        ["01_first", "not begun"],
        ["02_second", "not begun"],
    ]
    assert not (here / "work").exists()
    (here / "work").mkdir()
    for text, state in (
        (RIGHT, "all right"),
        (RIGHT.replace("2 * x", "x"), "1 of 2 right"),
        ("import nowhere_at_all", "cannot be run"),
    ):
        (here / "work" / "02_second.py").write_text(text)
        assert main(["check"]) == 0
        told = capsys.readouterr().out
        assert state in told.splitlines()[3]
        assert "double returns" not in told
