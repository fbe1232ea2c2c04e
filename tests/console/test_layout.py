"""Tables, paragraphs and colours: what is printed fits its terminal, and is plain where none is."""

import io
import sys

import pytest

from minikd.console.layout import aligned, columns, paragraph, print_message, styled, wrapped_lines
from minikd.console.terminal import CODES, Terminal


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def shown_on(monkeypatch):
    """Put a terminal in the place of standard output and error."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", made := Screen())
    monkeypatch.setattr(sys, "stderr", made)
    return made


@pytest.mark.parametrize(
    ("said", "width"), [("40", 60), ("60", 60), ("72", 72), ("500", 100), ("", 80), ("x", 80), ("-3", 80)]
)
def test_the_columns_are_those_of_the_terminal_within_reason(said, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", said)
    assert columns() == width


def test_a_table_that_fits_is_one_table(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert aligned((("", "errors", "kind"),), [("a", "12", "x"), ("bb", "3", "long")], left=(2,)).splitlines() == [
        "    errors  kind",
        "────────────────",
        "a       12  x",
        "bb       3  long",
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("count", [1, 3, 7, 20])
@pytest.mark.parametrize("name", ["short", "a name of several words " * 6, "one-word-" * 20, "/a/path/" + "x" * 200])
def test_a_table_too_wide_stands_in_parts_with_every_cell_in_each_row(width, count, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    header = ("", *(f"number {k}" for k in range(count)))
    row = (name, *(f"{k:,}.{k}" for k in range(count)))
    table = aligned((header,), [row])
    assert max(map(len, table.splitlines())) <= width
    for k in range(count):
        assert f"number {k}" in table
        assert f" {k}.{k}" in table
    assert all(part.splitlines()[1].startswith("─") for part in table.split("\n\n"))


def test_a_column_wider_than_the_terminal_takes_several_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    table = aligned((("", "why"),), [("a", "word " * 50)])
    assert max(map(len, table.splitlines())) <= 60
    assert table.count("word") == 50


def test_a_paragraph_keeps_words_whole():
    long = "/a/path/that/is/longer/than/any/terminal/" * 3
    assert long in paragraph(f"see {long} there", 4).splitlines()[1]
    assert wrapped_lines(f"short\n    {'word ' * 30}").splitlines()[2].startswith("        word")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_for_terminals_that_want_them(name, value, monkeypatch):
    shown_on(monkeypatch)
    assert styled("a\nb", "bold") == f"{CODES['bold']}a{CODES['plain']}\n{CODES['bold']}b{CODES['plain']}"
    monkeypatch.setenv(name, value)
    assert styled("a", "bold") == "a"
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert styled("a", "bold") == "a"


def test_a_terminal_is_given_our_colours_and_no_other_control_character(monkeypatch):
    screen = shown_on(monkeypatch)
    Terminal(screen).write(f"{styled('a', 'red')}\x1b[2J\x1b[8mb")
    assert screen.getvalue() == f"{CODES['red']}a{CODES['plain']}\\x1b[2J\\x1b[8mb"
    plain = io.StringIO()
    Terminal(plain).write("\x1b[31ma")
    assert plain.getvalue() == "\\x1b[31ma"


def test_an_error_is_one_line_for_a_program_and_several_on_a_terminal(monkeypatch):
    screen = shown_on(monkeypatch)
    monkeypatch.setenv("COLUMNS", "60")
    print_message("error", "word " * 40)
    assert max(len(line) for line in screen.getvalue().splitlines()[1:]) <= 60
    assert screen.getvalue().startswith(f"{CODES['red']}minikd: error:{CODES['plain']} word")
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    print_message("error", "word " * 40)
    assert pipe.getvalue().count("\n") == 1


def test_a_table_without_rows_is_its_header():
    assert aligned((("", "errors"),), []).splitlines()[0].split() == ["errors"]
