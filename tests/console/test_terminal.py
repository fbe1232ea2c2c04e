import io
import os
import subprocess
import sys

import pytest

from minikd.console import terminal
from minikd.console.terminal import Terminal, encodable, one_line, safe_streams, say, visible

PRINTED = "─ ± × · α β λ Σ σ → ← ² ³ √ ≤ ≥ ≠ ∞ ½ µs x̂ ᵀ ₁ – − é ş ‖ ∂ § ° “a” ’ ✓ 猫"
"""What minikd prints beyond ASCII, and what it does not."""


def bytes_written(encoding, text, errors="strict"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors, newline="")
    out = Terminal(stream)
    assert out.write(text) == len(text)
    out.flush()
    assert out.trouble is None
    return stream.buffer.getvalue()


def test_what_ascii_lacks_is_written_by_its_looks_its_name_or_its_number():
    assert encodable("α → 2 × ½ − ─── Σ Σ", "ascii") == "alpha -> 2 x 1/2 - --- Sigma Sigma"
    assert encodable("café x̂ T² ᵀ ± λ", "ascii") == "cafe x T^2 T +- lambda"
    assert encodable("猫\udce9", "ascii") == r"\u732b\xe9"


def test_a_rule_stays_as_long_as_it_is():
    for encoding in ("ascii", "latin-1", "cp1252"):
        assert len(encodable("─" * 30 + "–", encoding)) == 31


def test_what_an_encoding_has_is_left():
    assert encodable("2 × 3 é → ─", "latin-1") == "2 × 3 é -> -"
    assert encodable("α ─ ±", "cp437") == "α ─ ±"
    assert encodable(PRINTED, "utf-8") == PRINTED


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "koi8-r", "shift_jis", "utf-8", "utf-16"])
def test_every_text_is_written_in_every_encoding(encoding):
    written = bytes_written(encoding, PRINTED + "\udce9\ud800\U0001f600").decode(encoding)
    assert r"\xe9\ud800" in written
    assert "\ufffd" not in written


def test_a_name_of_bytes_that_are_no_utf8_is_shown_by_these_bytes():
    assert one_line(os.fsdecode(b"caf\xe9")) == r"caf\xe9"


@pytest.mark.parametrize("letter", ["\x1b", "\x07", "\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028"])
def test_control_characters_are_written_by_their_numbers(letter):
    assert letter not in bytes_written("utf-8", f"a{letter}[31mb").decode()
    for shown in (one_line(f"a{letter}b"), visible(f"a{letter}b")):
        assert shown == f"a{ascii(letter)[1:-1]}b"


def test_a_line_is_one_line():
    assert one_line("a\nb\tc\rd") == r"a\nb\tc\rd"
    assert visible("a\nb\tc\rd") == "a\nb\tc" + r"\rd"


def test_only_a_progress_bar_goes_back_to_the_begin_of_its_line():
    stream = io.StringIO()
    Terminal(stream, bars=True).write("\ra\x1b")
    Terminal(stream).write("\rb")
    assert stream.getvalue() == "\ra\\x1b\\rb"


class Failing:
    """A stream of somebody's whose every method fails, without the usual attributes."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    flush = isatty = lambda self: 1 / 0


@pytest.mark.parametrize(
    "stream",
    [
        None,
        object(),
        Failing(BrokenPipeError()),
        Failing(OSError(28, "full")),
        Failing(ValueError("closed")),
        Failing(KeyError()),
    ],
)
def test_a_stream_that_fails_ends_nothing_and_is_left_alone_from_then_on(stream):
    out = Terminal(stream)
    for _ in range(2):
        print("text", file=out, flush=True)
    assert not out.isatty()
    assert out.trouble is getattr(stream, "error", out.trouble)
    assert (out.trouble is None) == (stream is None)


@pytest.mark.parametrize("encoding", [None, "nonsense", 3, "ascii", "missing"])
def test_a_stream_may_tell_any_encoding_or_none(encoding):
    class Writer:
        text = ""

        def write(self, text):
            text.encode("ascii")
            self.text += text

    stream = Writer()
    if encoding != "missing":
        stream.encoding = encoding
    Terminal(stream).write("α")
    assert stream.text == "alpha"


def test_standard_error_may_be_anything_or_nothing(monkeypatch):
    for stream in (None, object(), Failing(OSError()), io.TextIOWrapper(io.BytesIO(), "ascii")):
        monkeypatch.setattr(sys, "stderr", stream)
        say("the teacher looks → at α")
    assert b"the teacher looks" in sys.stderr.buffer.getvalue()  # the last of them can show it, in its own letters


def test_the_usual_streams_are_back_afterwards():
    usual = sys.stdout, sys.stderr
    with safe_streams() as out:
        assert sys.stdout is out
        with safe_streams() as inner:
            assert inner is out
    assert (sys.stdout, sys.stderr) == usual


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    script = (
        "import os, sys; os.closerange(0, 3)\n"
        "from minikd.console.terminal import open_descriptors\n"
        "open_descriptors()\n"
        f"file = open({str(tmp_path / 'weights')!r}, 'w')\n"
        "os.write(1, b'from C'); os.write(2, b'from C')\n"
        "sys.exit(file.fileno())"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode > 2
    assert (tmp_path / "weights").read_bytes() == b""


def test_everything_that_the_package_prints_has_a_look_alike():
    for letter in terminal.LOOK_ALIKES:
        assert terminal.in_ascii(letter).isascii()
    assert "\\" not in encodable(PRINTED.rstrip("猫✓ "), "ascii")
