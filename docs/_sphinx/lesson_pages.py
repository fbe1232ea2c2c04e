"""Reads a lesson's script as a notebook."""

import re

import jupytext
from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def read(text: str) -> NotebookNode:
    """Return a script in percent format as a notebook, its first cell's labelled paragraphs as a table."""
    notebook: NotebookNode = jupytext.reads(text, "py:percent")
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python", "pygments_lexer": "python"})
    first = notebook.cells[0]
    first.source = re.sub(r"^\*\*(Goal|Needs|You will see|Minutes)\*\* ", r"**\1.** ", first.source, flags=re.MULTILINE)
    return notebook
