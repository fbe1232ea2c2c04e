"""Markdown to HTML: mathematics as MathML, code coloured, links that lead somewhere when the page opens from disk."""

import html
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from minikd.errors import ConfigError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

FUNCTIONS = re.compile(r"<m([io])>([a-z]{2,})</m\1>(<mo stretchy=\"false\">&#x00028;)?", re.ASCII)
"""A function's name, as log, and the parenthesis that may follow."""


TIGHTER = {"<mo>&#x0002F;</mo>": '<mo lspace="0" rspace="0">&#x0002F;</mo>', "<mo>&#x0221E;</mo>": "<mi>&#x0221E;</mi>"}
"""A slash and an infinity, which browsers would set as wide as a plus."""

AFTER_FORMULA = re.compile(r'(<span class="math inline">(?:(?!</span>).)*</span>)([.,;:)?!]+)', re.DOTALL)
"""A formula amid text, and the punctuation that follows it."""


def writer(lessons: Collection[str]) -> "MarkdownIt":
    """Return what turns a lesson's Markdown into HTML; links to scripts among `lessons` lead to their pages."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    made = MarkdownIt("commonmark", {"html": False, "highlight": coloured}).enable("table")
    made.use(
        dollarmath_plugin, double_inline=True, renderer=lambda latex, options: mathml(latex, options["display_mode"])
    )
    made.add_render_rule("math_inline_double", within_a_paragraph)
    made.core.ruler.push("links", lambda state: relink(state.tokens, lessons))
    return made


def unbroken(text: str) -> str:
    """Return HTML in which no line ends between a formula and the full stop or comma after it."""
    return AFTER_FORMULA.sub(r'<span class="unbroken">\1\2</span>', text)


def within_a_paragraph(writer: object, tokens: Sequence["Token"], index: int, options: object, env: object) -> str:
    """Return a line of $$...$$ amid a paragraph, where no <div> may stand, as HTML."""
    return f'<span class="math block">{mathml(tokens[index].content, block=True)}</span>'


def mathml(latex: str, block: bool) -> str:
    """Return a formula as MathML. Raises ConfigError, with the formula, for what cannot be set."""
    from latex2mathml.converter import convert

    try:
        text = convert(latex.strip(), display="block" if block else "inline")
        left = "".join(ElementTree.fromstring(text).itertext())
    except Exception as error:
        raise ConfigError(f"the formula {latex!r} cannot be set: {type(error).__name__}: {error}") from error
    if "\\" in left:
        raise ConfigError(f"the formula {latex!r} cannot be set: its MathML holds the text {left!r}")
    for symbol, better in TIGHTER.items():
        text = text.replace(symbol, better)
    return FUNCTIONS.sub(spaced, text)


def spaced(function: re.Match[str]) -> str:
    """Return a function's name as an operator, with the space that browsers leave out: p log q."""
    after = "0" if function[3] else "0.167em"
    return f'<mo form="prefix" lspace="0.167em" rspace="{after}">{function[2]}</mo>{function[3] or ""}'


def coloured(code: str, language: str = "python", attributes: str = "") -> str:
    """Return code as HTML, coloured where it is Python."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    if language != "python":
        return html.escape(code)
    text: str = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True))
    return text


def relink(tokens: Iterable["Token"], lessons: Collection[str]) -> None:
    """Turn links to lessons into links to their pages; of other files, which are not there, leave the text."""
    for token in tokens:
        token.children = token.children and list(kept(token.children, lessons))


def kept(tokens: Sequence["Token"], lessons: Collection[str]) -> Iterable["Token"]:
    """Yield a line's tokens with the links that lead somewhere."""
    leads = True
    for token in tokens:
        if token.type == "link_open":
            target = Path(str(token.attrs["href"]))
            lesson = target.suffix == ".py" and target.stem in lessons and len(target.parts) == 1
            if lesson:
                token.attrs["href"] = f"{target.stem}.html"
            leads = lesson or str(token.attrs["href"]).startswith(("https://", "http://"))
        if leads or token.type not in ("link_open", "link_close"):
            yield token
