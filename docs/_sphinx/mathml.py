"""Sets mathematics as MathML, which browsers draw without a script, a font or a network."""

import re
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

PUNCTUATION = re.compile(r"[.,;:)?!]+")

FUNCTIONS = re.compile(r"<m([io])>([a-z]{2,})</m\1>(<mo stretchy=\"false\">&#x00028;)?", re.ASCII)
"""A function's name, as log, and the parenthesis that may follow."""

TIGHTER = {"<mo>&#x0002F;</mo>": '<mo lspace="0" rspace="0">&#x0002F;</mo>', "<mo>&#x0221E;</mo>": "<mi>&#x0221E;</mi>"}
"""A slash and an infinity, which browsers would set as wide as a plus."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer `mathml`."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    app.connect("doctree-read", lambda app, page: keep_punctuation(page))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep_punctuation(page: nodes.document) -> None:
    """Put a formula and the punctuation after it into one element, so that no line ends between the two."""
    for formula in list(page.findall(nodes.math)):
        after = formula.next_node(nodes.Text, descend=False, siblings=True)
        place = formula.parent.index(formula)
        found = PUNCTUATION.match(after) if after in formula.parent[place + 1 : place + 2] else None
        if found:
            whole = nodes.inline("", "", formula.deepcopy(), nodes.Text(found[0]), classes=["unbroken"])
            formula.parent[place : place + 2] = [whole, nodes.Text(after[found.end() :])]


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(f'<span class="math">{checked(writer, node, "inline")}</span>')
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.Element) -> None:
    """Write a formula on a line of its own."""
    writer.body.append(f'<div class="math">{checked(writer, node, "block")}</div>')
    raise nodes.SkipNode


def checked(writer: HTML5Translator, node: nodes.Element, display: str) -> str:
    """Return a formula as MathML; one that cannot be set is a warning, and stands as it was written."""
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        logging.getLogger(__name__).warning(str(error), location=node)
        return f"<code>{writer.encode(node.astext())}</code>"


def mathml(latex: str, display: str) -> str:
    """Return a formula as MathML. Raises ValueError, with the formula, for what cannot be set."""
    try:
        text: str = convert(latex.strip(), display=display)
        rest = "".join(ElementTree.fromstring(text).itertext())
    except Exception as error:
        raise ValueError(f"the formula {latex!r} cannot be set: {type(error).__name__}: {error}") from error
    if "\\" in rest:
        raise ValueError(f"the formula {latex!r} cannot be set: its MathML holds the text {rest!r}")
    for symbol, better in TIGHTER.items():
        text = text.replace(symbol, better)
    return FUNCTIONS.sub(spaced, text)


def spaced(function: re.Match[str]) -> str:
    """Return a function's name as an operator, with the space that browsers leave out: p log q."""
    after = "0" if function[3] else "0.167em"
    return f'<mo form="prefix" lspace="0.167em" rspace="{after}">{function[2]}</mo>{function[3] or ""}'
