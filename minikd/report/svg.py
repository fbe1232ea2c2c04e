"""A figure as SVG. The page around it decides its colours: light, dark or printed. Its text stays text.

matplotlib draws the figure. Then its file is made smaller and independent of time and place: colours become variables
of palette.css, and ids without a reference are removed. The other ids begin with the figure's name, so that a page may
have several figures. `safe` reads such a file, and refuses any other, because a run's folder may come from anybody, and
an SVG in a page could contain scripts.
"""

import io
import re
import warnings
from importlib.resources import files
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from minikd.console.terminal import visible
from minikd.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
PNG = "data:image/png;base64,"

VARIABLES = {
    **{style.INK: "ink", style.SOFT: "soft", style.GREY: "grey", style.LINE: "line", style.GRID: "grid"},
    **{style.PANEL: "panel", "#FFFFFF": "paper", "#000000": "ink"},
    **{style.BLUE: "blue", style.ORANGE: "orange", style.GREEN: "green", style.RED: "red"},
}
"""The variable of palette.css for each colour of the figures. Other colours stay as they are."""

TAGS = {"svg", "g", "defs", "style", "desc", "clipPath", "path", "rect", "use", "image", "text", "tspan"}
ATTRIBUTES = {
    *(
        "xmlns",
        "version",
        "viewBox",
        "width",
        "height",
        "role",
        "aria-label",
        "id",
        "class",
        "href",
        "style",
        "transform",
    ),
    *("d", "x", "y", "clip-path", "opacity"),
}
"""The elements and attributes of a figure. A file with others is not minikd's."""


def palette() -> str:
    """Return the style sheet of the figures and of their page."""
    return files("minikd").joinpath("report", "palette.css").read_text(encoding="utf-8")


def svg(figure: "Figure", name: str, words: str) -> bytes:
    """Return a figure as SVG.

    The same figure gives the same bytes. `words` describe it for readers who cannot see it.
    """
    root = ElementTree.fromstring(_drawn(figure))
    _without(root, "metadata", "style")
    ids = {
        found
        for one in root.iter()
        for value in one.attrib.values()
        for found in re.findall(r"^#(.+)|\(#(.+?)\)", value)
    }
    used = {first or second for first, second in ids}
    for element in root.iter():
        _trim(element, name, used)
    title = figure.get_suptitle().replace("\n", " ").replace(r"\$", "$")
    root.attrib.update({"xmlns": SVG[1:-1], "class": "figure", "role": "img", "aria-label": title})
    for place, (tag, text) in enumerate({"desc": visible(words), "style": palette()}.items()):
        added = Element(tag)
        added.text = text
        root.insert(place, added)
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _drawn(figure: "Figure") -> bytes:
    """Return matplotlib's SVG of a figure, with text as text and without the time."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "minikd"}), warnings.catch_warnings():
        # The included font may lack the letters of a class name. The reader's system has another font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue()


def _without(root: Element, *tags: str) -> None:
    """Remove all elements with these tags from a tree."""
    for parent in list(root.iter()):
        for tag in tags:
            for child in parent.findall(f"{SVG}{tag}"):
                parent.remove(child)


def _trim(element: Element, name: str, used: set[str]) -> None:
    """Turn an element of matplotlib into one of minikd."""
    element.tag = element.tag.removeprefix(SVG)
    element.text, element.tail = (text if text and text.strip() else None for text in (element.text, element.tail))
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        key = key.removeprefix(XLINK)
        if key == "id":
            if value.startswith(style.INK_PICTURE):
                element.set("class", "ink")
            if value not in used:
                continue
            value = f"{name}-{value}"
        if key == "style":
            value = _restyled(value)
        if key in ("d", "href"):
            value = "".join(value.split()) if value.startswith(PNG) else " ".join(value.split())
        element.set(key, re.sub(r"^#|(?<=\(#)", lambda hash_: f"{hash_[0]}{name}-", value))


def _restyled(value: str) -> str:
    """Return a style with variables for colours. It has no font, because the reader's system has one."""
    value = re.sub(r"font-family: [^;]*;? ?", "", value)
    value = re.sub(r"(font: [^;]*?px) [^;]*", r"\1 sans-serif", value)  # matplotlib before 3.10 wrote this
    return re.sub(r"(?<=: )#[0-9a-f]{6}\b", lambda colour: _variable(colour[0]), value)


def _variable(colour: str) -> str:
    name = VARIABLES.get(colour.upper())
    return f"var(--{name})" if name else colour


def safe(text: str) -> Element | None:
    """Return the figure of an SVG file for a page, without a style sheet, or None if it is not minikd's."""
    try:
        root = None if "<!" in text else ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    if root is None or root.tag != f"{SVG}svg" or not all(_is_ours(element) for element in root.iter()):
        return None
    _without(root, "style")
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
    return root


def _is_ours(element: Element) -> bool:
    """True if an element is one that `svg` writes, and loads nothing."""
    tag, attributes = element.tag.removeprefix(SVG), element.attrib
    if tag not in TAGS or not attributes.keys() <= ATTRIBUTES or not attributes.get("href", "#").startswith(("#", PNG)):
        return False
    return not any(re.search(r"url\((?!#)|\\", attributes.get(key, "")) for key in ("style", "clip-path"))
