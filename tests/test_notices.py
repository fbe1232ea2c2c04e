import warnings

import pytest

from minikd.notices import Notice, notice, printed


def test_a_notice_is_a_warning_that_a_program_can_catch():
    with pytest.warns(Notice, match="did this"):
        notice("found that, did this; --so has it otherwise")


def test_on_the_command_line_a_notice_is_one_line_and_said_once(capsys):
    with printed():
        notice("found that")
        notice("found that")
        notice("found more")
    assert capsys.readouterr().err == "minikd: note: found that\nminikd: note: found more\n"


def test_other_warnings_are_not_swallowed():
    with pytest.warns(UserWarning, match="of another kind"), printed():
        warnings.warn("of another kind", UserWarning, stacklevel=1)
