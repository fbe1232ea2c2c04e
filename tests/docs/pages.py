"""The pages of README and docs/, and their code blocks, each with the comment that stands above it."""

import re
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(page for page in DOCS.rglob("*.md") if page.parent.name != "extend")]
"""README and the pages of docs/; those of docs/extend are run by `test_extend.py`."""

BLOCK = re.compile(r"(?:^<!-- (?P<comment>[^>]*) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A block: its language, code, the comment on the line above it (or ""), and the line it begins on."""

    language: str
    code: str
    comment: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks that are code or commands."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(one["language"], one["code"], one["comment"] or "", text[: one.start("code")].count("\n") + 1)
        for one in BLOCK.finditer(text)
    ]
    return [block for block in found if block.language in ("python", "sh", "console")]
