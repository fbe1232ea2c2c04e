"""Reads a lesson's script as a notebook."""

import os
import re

import jupytext
from nbformat import NotebookNode

from minikd.lessons.publish import KERNEL

LABEL = re.compile(r"^\*\*(Goal|Needs|You will see|Minutes)\*\* (.)", re.MULTILINE)
"""What a paragraph of the first cell begins with, and the first letter after it."""

QUICK = """

```{note}
This page was made with `--quick`: less data and fewer epochs, so the numbers are not those of a full run.
```"""


def read(text: str) -> NotebookNode:
    """Return a script in percent format as a notebook, the labelled paragraphs of its first cell as a list."""
    notebook: NotebookNode = jupytext.reads(text, "py:percent")
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python", "pygments_lexer": "python"})
    first = notebook.cells[0]
    first.source = LABEL.sub(lambda found: f"- **{found[1]}:** {found[2].upper()}", first.source)
    first.source += " on two cores; with `--quick` a few seconds"
    if os.environ.get("MINIKD_QUICK") == "1":
        first.source += QUICK
    return notebook
