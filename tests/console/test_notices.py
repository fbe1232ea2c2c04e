import warnings

import pytest

from minikd.console.notices import Notice, notice, printed


def test_a_notice_is_a_warning_that_a_program_can_catch():
    with pytest.warns(Notice, match="did this"):
        notice("found that, did this; --so has it otherwise")


def test_on_the_command_line_a_notice_is_one_line_and_said_once(capsys):
    with printed():
        notice("found that")
        notice("found that")
        notice("found more")
    assert capsys.readouterr().err == "minikd: note: found that\nminikd: note: found more\n"


def test_other_warnings_are_lines_too(capsys):
    with printed():
        warnings.simplefilter("default")
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    assert capsys.readouterr().err == "minikd: warning: overflow (RuntimeWarning)\n"


def test_a_name_in_a_notice_cannot_write_to_the_terminal():
    with pytest.warns(Notice, match=r"^folder a\\x1b\[2Jb\\nc$"):
        notice("folder a\x1b[2Jb\nc")


@pytest.mark.parametrize("error", [OSError(), ValueError("closed"), AttributeError("no write")])
def test_a_notice_that_cannot_be_shown_ends_nothing(error, monkeypatch):
    asked = []

    def show(*_):
        asked.append(True)
        raise error

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        notice("found that")
    assert asked  # it was to be shown, and the error ended nothing
