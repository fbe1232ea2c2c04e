"""Formats text for the terminal: columns, paragraphs, colours and tables.

Without a terminal, as when a program reads the output, text is 80 columns wide and has no colours.
"""

import os
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from textwrap import fill, wrap

from minikd.console.terminal import CODES, Terminal, before, encodable, one_line, say, standard_error

NARROW, USUAL, WIDE = 60, 80, 100
"""Columns of text: the least, the number without a terminal, and the most."""

NAME = 16
"""The least width of a table's first column. Longer cells take several lines."""


def columns(stream: object = None) -> int:
    """Return the columns to print on: those of the stream's terminal (default: standard output), from 60 to 100."""
    return min(max(stream_width(sys.stdout if stream is None else stream), NARROW), WIDE)


def stream_width(stream: object) -> int:
    """Return the columns from the variable COLUMNS, or those of the stream's terminal; 80 if neither is known."""
    with suppress(ValueError):
        if (asked := int(os.environ.get("COLUMNS", ""))) > 0:
            return asked
    with suppress(Exception):  # a stream without a file number, or not a terminal
        return os.get_terminal_size(stream.fileno()).columns or USUAL  # type: ignore[attr-defined]
    return USUAL


def paragraph(text: str, indent: int = 0, hanging: int | None = None, width: int | None = None) -> str:
    """Return a text in lines that fit, indented. hanging: the indent of all lines but the first.

    A word that is longer than a line, such as a path, is not broken, so that it can be copied.
    """
    return fill(
        text,
        width or columns(),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hanging is None else hanging),
        break_on_hyphens=False,
        break_long_words=False,
    )


def wrapped_lines(text: str) -> str:
    """Return a text of several lines. Lines that are too long are broken and indented by four more columns."""
    return "\n".join(
        line if len(line) <= columns() else paragraph(line.strip(), indent, indent + 4)
        for line in text.split("\n")
        for indent in [len(line) - len(line.lstrip())]
    )


def styled(text: str, style: str, stream: object = None) -> str:
    """Return a text in a style of `terminal.CODES`, such as "bold", if the stream shows colours; else unchanged."""
    out: Terminal = before(sys.stdout if stream is None else stream)
    return "\n".join(f"{CODES[style]}{line}{CODES['plain']}" for line in text.split("\n")) if out.colours else text


def print_message(kind: str, text: str) -> None:
    """Print an error, a warning or a note on standard error: one line, or several on a terminal."""
    out, line = standard_error(), f"minikd: {kind}: {one_line(text)}"
    if out.isatty():
        begin = f"minikd: {kind}:"
        line = paragraph(encodable(line, out.encoding), hanging=2, width=columns(out))
        line = styled(begin, "red" if kind == "error" else "yellow", out) + line.removeprefix(begin)
    say(line)


def aligned(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], left: Container[int] = ()) -> str:
    """Return the cells as columns, two blanks apart. The first column and those in `left` are left-aligned, others
    right-aligned.

    If a table is wider than the terminal, the cells of its first column take several lines. If that is not enough, the
    table is split into parts, one below the other, each with the first column. A cell may hold a name from a file: its
    control characters are written by their numbers.
    """
    limit = columns()
    lines = [[one_line(cell) for cell in line] for line in (*header, *rows)]
    first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    longest = max((len(word) for line in lines for word in re.split(r"[\s-]+", line[0])), default=0) + 1
    least, room = max(NAME, min(longest, limit // 2)), limit - sum(widths) - 2 * len(widths)
    first = min(first, room if room >= least else max(least, limit // 2))
    return "\n\n".join(
        part(lines, len(header), {0: first, **group}, left)
        for group in groups({k: min(w, limit - first - 2) for k, w in enumerate(widths, 1)}, limit - first)
    )


def groups(widths: Mapping[int, int], limit: int) -> Iterator[dict[int, int]]:
    """Yield the columns, numbers with their widths, in as few groups as fit the limit, two blanks before each."""
    group: dict[int, int] = {}
    for number, width in widths.items():
        if group and sum(group.values()) + width + 2 * (len(group) + 1) > limit:
            yield group
            group = {}
        group[number] = width
    yield group


def part(lines: Sequence[Sequence[str]], header: int, widths: Mapping[int, int], left: Container[int]) -> str:
    """Return the columns of these numbers as a separate table, with the given widths."""
    names = not lines[header - 1][0]
    drawn = []
    for number, line in enumerate(lines):
        wrapped = [wrap(line[k], max(1, width)) or [""] for k, width in widths.items()]  # an empty column has width 0
        for cells in zip_longest(*wrapped, fillvalue=""):
            padded = [
                cell.ljust(width) if k in left or (names and k == 0) else cell.rjust(width)
                for (k, width), cell in zip(widths.items(), cells, strict=True)
            ]
            text = "  ".join(padded).rstrip()
            drawn.append(styled(text, "bold") if number < header and text else text)
        if number == header - 1:
            drawn.append("─" * (sum(widths.values()) + 2 * (len(widths) - 1)))
    return "\n".join(drawn)
