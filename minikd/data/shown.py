"""Turns names and paths from the disk into text that every terminal, file and page can show."""

import re
import unicodedata
from pathlib import Path

UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and Python's code for bytes of a name that are not UTF-8."""


def shown(name: str | Path) -> str:
    """Return a name or path with unprintable bytes escaped: the byte 0xe9, which is not UTF-8, becomes \\xe9."""
    return UNSHOWABLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", str(name))


def is_text(name: str) -> bool:
    """Say whether a name is text: UTF-8 without control characters."""
    return not UNSHOWABLE.search(name)


def composed(name: str) -> str:
    """Return a name with each accented letter as one character, so that names that look alike are equal."""
    return unicodedata.normalize("NFC", name)


def normalized_name(name: str) -> str:
    """Return a name without invisible characters and with single plain spaces."""
    return " ".join("".join(letter for letter in composed(name) if unicodedata.category(letter) != "Cf").split())


def first_names(names: list[str], most: int = 10) -> str:
    """Return the first names, and how many more there are, as text."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
