"""The lessons as pages that open from disk: an index, a page each, one style sheet, nothing from a network."""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from minikd.lessons.library import LessonCard
from minikd.lessons.markdown import coloured, unbroken, writer
from minikd.lessons.notebook import Executed, Output
from minikd.storage.files import write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment
    from markdown_it import MarkdownIt
    from markupsafe import Markup

TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class PagePart(NamedTuple):
    """A piece of a page: text, code, printed, error (HTML each) or a figure (a PNG in base64)."""

    kind: str
    content: "Markup | str"


def write_page(
    card: LessonCard, executed: Executed, all_cards: Sequence[LessonCard], folder: Path, quick: bool
) -> None:
    """Write a lesson's page to `folder`/NN_name.html."""
    place = all_cards.index(card)
    text = (
        environment(all_cards)
        .get_template("lesson.html")
        .render(
            card=card,
            parts=list(parts(executed, writer([one.name for one in all_cards]))),
            trouble=executed.trouble,
            before=all_cards[place - 1] if place else None,
            after=all_cards[place + 1] if place + 1 < len(all_cards) else None,
            quick=quick,
        )
    )
    write_atomically(folder / f"{card.name}.html", text.encode())


def write_index(all_cards: Sequence[LessonCard], folder: Path, quick: bool) -> Path:
    """Write `folder`/index.html, with the figures that lie in `folder`/output, and the style sheet; return its path."""
    figures = {card.name for card in all_cards if (folder / "output" / f"{card.name}.png").exists()}
    text = environment(all_cards).get_template("index.html").render(cards=all_cards, figures=figures, quick=quick)
    style = files("minikd").joinpath("lessons", "pages", "style.css").read_bytes()
    write_atomically(folder / "style.css", style)
    write_atomically(folder / "index.html", text.encode())
    return folder / "index.html"


def environment(all_cards: Sequence[LessonCard]) -> "Environment":
    """Return the templates, with a filter for a line of Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=PackageLoader("minikd", "lessons/pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    markdown = writer([card.name for card in all_cards])
    made.filters["markdown"] = lambda text: Markup(unbroken(markdown.renderInline(text)))
    return made


def parts(executed: Executed, markdown: "MarkdownIt") -> Iterator[PagePart]:
    """Yield what a page shows below its head: the cells after the first, each with its outputs."""
    from markupsafe import Markup

    for cell in executed.notebook["cells"][1:]:
        if cell["cell_type"] == "markdown":
            yield PagePart("text", Markup(unbroken(markdown.render(cell["source"]))))
        elif cell["source"].strip():
            yield PagePart("code", Markup(coloured(cell["source"])))
            for output in cell.get("outputs", []):
                yield from shown(output)


def shown(output: Output) -> Iterator[PagePart]:
    """Yield an output as a part; standard error, which holds progress bars, is left out."""
    if output["output_type"] == "error":
        yield PagePart("error", TERMINAL_COLOURS.sub("", "\n".join(output["traceback"])))
    elif output["output_type"] == "stream":
        if output["name"] == "stdout":
            yield PagePart("printed", output["text"])
    elif "image/png" in output["data"]:
        yield PagePart("figure", "".join(output["data"]["image/png"].split()))
    else:
        yield PagePart("printed", output["data"]["text/plain"])
