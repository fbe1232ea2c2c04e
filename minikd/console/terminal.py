"""Prints in characters that the terminal can show. A stream that fails never ends the work.

Standard output and error may be anything: a terminal with another encoding, a pipe whose reader has ended, a full disk,
an object of a notebook or a logger, or None. A `Terminal` wraps each of them. A character that the encoding lacks is
written in ASCII: ─ as -, α as alpha, é as e, and others by their numbers. Control characters are also written by their
numbers. Otherwise a name from a file could move the cursor, or look like another name.
"""

import builtins
import codecs
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

LOOK_ALIKES = {
    **{"─": "-", "–": "-", "—": "-", "−": "-", "→": "->", "←": "<-", "×": "x", "·": "*", "±": "+-", "√": "sqrt "},
    **{"²": "^2", "³": "^3", "µ": "u", "λ": "lambda", "∂": "d", "‖": "||", "°": " degrees", "≤": "<=", "≥": ">="},
    **{"≠": "!=", "≈": "~", "∞": "inf", "§": "section ", "“": '"', "”": '"', "‘": "'", "’": "'", "\u2044": "/"},
}
"""The characters beyond ASCII that the package prints, besides Greek and accented letters."""

CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Control characters except tab and line feed, line separators, and changes of the direction of writing."""

CONTROLS, CONTROLS_BUT_RETURN = re.compile(f"[{CONTROL}]"), re.compile(rf"(?!\r)[{CONTROL}]")
CONTROLS_AND_BREAKS = re.compile(rf"[{CONTROL}\t\n]")

CODES = {
    **{"plain": "\x1b[0m", "bold": "\x1b[1m", "faint": "\x1b[2m"},
    **{"red": "\x1b[31m", "green": "\x1b[32m", "yellow": "\x1b[33m", "blue": "\x1b[36m"},
}
"""The codes for a terminal's styles. `layout.styled` writes no others, and a terminal gets no others."""

STYLES = re.compile(f"({'|'.join(map(re.escape, CODES.values()))})")


def one_line(text: str) -> str:
    """Return a text from a file, a path or a library on one line, with numbers for control characters."""
    return encodable(numbered(text, CONTROLS_AND_BREAKS), "utf-8")


def visible(text: str) -> str:
    """Return a text of several lines with numbers for its control characters."""
    return encodable(numbered(text, CONTROLS), "utf-8")


def numbered(text: str, which: re.Pattern[str]) -> str:
    """Return a text with numbers for these characters."""
    return which.sub(lambda found: escaped_character(found[0]), text)


def escaped_character(letter: str) -> str:
    """Return a character as \\n, \\x1b or \\u2028. A byte of a name that is not UTF-8 becomes \\xe9."""
    if "\udc80" <= letter <= "\udcff":  # Python's code for such a byte
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return ascii(letter)[1:-1]


def in_ascii(letter: str) -> str:
    """Return a character in ASCII: a similar one, the name of a Greek letter, or a number."""
    if letter in LOOK_ALIKES:
        return LOOK_ALIKES[letter]
    if unicodedata.combining(letter):  # the hat of x̂
        return ""
    parts = unicodedata.normalize("NFKD", letter)
    if parts != letter:  # a letter and its mark
        return "".join(one if one.isascii() else in_ascii(one) for one in parts)
    script, *_, name = unicodedata.name(letter, "? ?").split(" ")
    return escaped_character(letter) if script != "GREEK" else name.capitalize() if letter.isupper() else name.lower()


def encodable(text: str, encoding: str) -> str:
    """Return a text for an encoding, with ASCII for the characters that it lacks."""
    return text.encode(encoding, "minikd").decode(encoding)


def replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Return the characters that a codec lacks in ASCII, and the position after them."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(in_ascii, error.object[error.start : error.end])), error.end


codecs.register_error("minikd", replace_unencodable)


class Terminal:
    """A text stream that accepts every text and writes it to another stream, which may be anything or None.

    After its first error, it writes nothing and keeps the error as `trouble`. With `bars`, it writes carriage returns,
    with which a progress bar returns to the beginning of its line.
    """

    def __init__(self, stream: TextIO | None, bars: bool = False) -> None:
        self.stream, self.bars = stream, bars
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> object:
        """Return another attribute of the stream, such as `fileno`, if it has it."""
        return getattr(self.stream, name)

    @property
    def encoding(self) -> str:
        """The stream's encoding; UTF-8, which has all characters, if the stream has none."""
        try:
            return codecs.lookup(getattr(self.stream, "encoding", "utf-8")).name
        except (LookupError, TypeError):
            return "utf-8"

    def write(self, text: str) -> int:
        """Write a text as the stream can show it."""
        safe = self.without_controls(text)
        if self.stream is not None and self.trouble is None:
            with self.keeping_errors():
                try:
                    self.stream.write(encodable(safe, self.encoding))
                except UnicodeError:  # the stream reports a wrong encoding
                    self.stream.write(encodable(safe, "ascii"))
        return len(text)

    def without_controls(self, text: str) -> str:
        """Return a text with numbers for its control characters. Colours stay if the stream shows them."""
        which = CONTROLS_BUT_RETURN if self.bars else CONTROLS
        if not self.colours:
            return numbered(text, which)
        parts = (part for part in STYLES.split(text) if part)
        return "".join(part if part in CODES.values() else numbered(part, which) for part in parts)

    @property
    def colours(self) -> bool:
        """True for a terminal with colours, unless the user wants none (https://no-color.org)."""
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb" and self.isatty()

    def flush(self) -> None:
        """Flush the stream."""
        if self.stream is not None and hasattr(self.stream, "flush") and self.trouble is None:
            with self.keeping_errors():
                self.stream.flush()

    def isatty(self) -> bool:
        """Return True if a person reads the stream at a terminal."""
        try:
            return self.stream is not None and bool(self.stream.isatty())
        except Exception:
            return False

    @contextmanager
    def keeping_errors(self) -> Iterator[None]:
        """Keep any error of the stream, because a failed print must not end the work."""
        try:
            yield
        except Exception as error:
            self.trouble = error

    def drop(self) -> None:
        """Drop the text in a failed stream's buffer. Otherwise it would fail again when Python ends."""
        for real in (sys.__stdout__, sys.__stderr__):
            if self.trouble is not None and real is not None and self.stream is real:
                with suppress(Exception), open(os.devnull, "w") as nowhere:
                    os.dup2(nowhere.fileno(), real.fileno())


def before(stream: object, bars: bool = False) -> Terminal:
    """Return a `Terminal` around a stream, or the stream if it is one."""
    return stream if isinstance(stream, Terminal) else Terminal(cast(TextIO | None, stream), bars)


def standard_error() -> Terminal:
    """Return the current standard error as a stream on which no write fails."""
    return before(sys.stderr, bars=True)


def watched() -> bool:
    """Return True if a person sees standard error at once: at a terminal or in a notebook."""
    return standard_error().isatty() or hasattr(builtins, "__IPYTHON__")


def say(text: str) -> None:
    """Print a line about the progress on standard error, at once."""
    print(text, file=standard_error(), flush=True)


def stand_before_streams() -> tuple[Terminal, Terminal]:
    """Replace standard output and standard error by a `Terminal` around each, and return both."""
    open_descriptors()
    out, err = before(sys.stdout), standard_error()
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    return out, err


@contextmanager
def safe_streams() -> Iterator[Terminal]:
    """Put a `Terminal` around standard output and error until the end, and yield that of standard output."""
    usual = sys.stdout, sys.stderr
    out, err = stand_before_streams()
    try:
        yield out
    finally:
        for one in (out, err):
            one.flush()
            one.drop()
        sys.stdout, sys.stderr = usual


def open_descriptors() -> None:
    """Open the null device under each standard descriptor that is closed.

    Otherwise the next opened file would get that number, and a library that writes to the descriptor would write into
    it.
    """
    with suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
