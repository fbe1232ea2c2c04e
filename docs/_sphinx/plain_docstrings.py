"""Shows docstrings as they were written: they are plain text with `code` in backticks, not reStructuredText."""

import re

from sphinx.application import Sphinx

MARKUP = re.compile(r"`[^`]*`|([\\*|]|_\b|(?<=\w)_(?!\w))")
"""Code, which stays as it is, or a sign that reStructuredText would take for markup."""


ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[~?(?:numpy\.)?(\w+)\]\]"
)
"""An array's type as Python resolves it, with its dtype."""

ARRAYS = {"floating": "Floats", "integer": "Ints", "uint8": "Bytes", "generic": "Array", "bool": "Mask"}

Signature = tuple[str | None, ...]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the change of docstrings and of signatures."""
    app.connect("autodoc-process-signature", short)
    app.connect("autodoc-process-docstring", lambda app, what, name, thing, options, lines: plain(lines))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def short(app: Sphinx, what: str, name: str, thing: object, options: object, given: str, returned: str) -> Signature:
    """Return a signature in the names of `minikd.typing`, which Python has resolved before Sphinx reads it."""
    return tuple(text and ARRAY.sub(lambda found: ARRAYS.get(found[1], found[0]), text) for text in (given, returned))


def plain(lines: list[str]) -> None:
    """Escape the lines of a docstring in place; an indented block (a formula, code) becomes a literal block."""
    shown: list[str] = []
    literal = False
    for line in lines:
        if line.startswith("    "):
            shown += [] if literal else ["::", ""]
            literal = True
            shown.append(line)
        elif line.strip():
            shown += [""] if literal else []
            literal = False
            shown.append(MARKUP.sub(lambda found: f"\\{found[1]}" if found[1] else found[0], line))
        else:
            shown.append(line)
    lines[:] = [*shown, ""]
