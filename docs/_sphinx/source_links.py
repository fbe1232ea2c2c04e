"""A link to a source file leads to a page that shows it; a link to a folder is plain text, since a site has none."""

import posixpath
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

linked: set[str] = set()
"""The source files that some page links to, by their path in the repository."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what resolves the links and what writes the pages."""
    app.connect("missing-reference", resolved)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def resolved(
    app: Sphinx, env: BuildEnvironment, link: addnodes.pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """Return what stands in place of a link to a file or folder of the repository; None for any other link."""
    path = target(app, link)
    if path is None or not (app.srcdir / path).exists():
        return None
    if (app.srcdir / path).is_dir():
        return nodes.inline("", "", *link.children)
    linked.add(path)
    address = app.builder.get_relative_uri(link["refdoc"], f"source/{path}")
    return nodes.reference("", "", *link.children, refuri=address, internal=True)


def target(app: Sphinx, link: addnodes.pending_xref) -> str | None:
    """Return the path in the repository that a link means, if it means one."""
    if link["reftype"] == "doc":  # MyST took the suffix away, and has looked from the repository's root already
        name: str = link["reftarget"]
        return next((name + suffix for suffix in app.config.source_suffix if (app.srcdir / (name + suffix)).exists()), None)
    if link["reftype"] == "myst":
        return posixpath.normpath(posixpath.join(posixpath.dirname(link["refdoc"]), link["reftarget"]))
    return None


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield a page for every source file that is linked to."""
    for path in sorted(linked):
        code = app.builder.highlighter.highlight_block(Path(app.srcdir / path).read_text(encoding="utf-8"), "python")
        yield f"source/{path}", {"title": path, "body": f"<h1>{path}</h1>{code}"}, "page.html"
