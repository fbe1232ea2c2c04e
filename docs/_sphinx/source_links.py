"""A link to a source file leads to a page that shows it; a link to a folder is plain text, since a site has none."""

import posixpath
from collections.abc import Iterator

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

Page = tuple[str, dict[str, str], str]
"""A page's address, what its template takes, the template."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what replaces the links and what writes the pages."""
    app.connect("doctree-read", replace)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": False}


def replace(app: Sphinx, page: nodes.document) -> None:
    """Replace a page's links to files and folders of the repository that are no pages themselves."""
    for link in list(page.findall(pending_xref)):
        path = target(app, link)
        if path is None or path.removesuffix(".py") in app.env.found_docs or not (app.srcdir / path).exists():
            continue
        if (app.srcdir / path).is_dir():
            link.replace_self(nodes.inline("", "", *link.children))
        else:
            address = app.builder.get_relative_uri(app.env.docname, f"source/{path}")
            link.replace_self(nodes.reference("", "", *link.children, refuri=address, internal=True))
            sources(app).add(path)


def target(app: Sphinx, link: pending_xref) -> str | None:
    """Return the path in the repository that a link means, if it means one."""
    if link.get("refdomain") == "doc":  # MyST took the suffix .py away, which the lessons have too
        return f"{link['reftarget']}.py"
    if link["reftype"] == "myst":
        return posixpath.normpath(posixpath.join(posixpath.dirname(app.env.docname), link["reftarget"]))
    return None


def sources(app: Sphinx) -> set[str]:
    """Return the source files that pages link to; Sphinx keeps them from build to build."""
    if not hasattr(app.env, "linked_sources"):
        app.env.linked_sources = set()  # type: ignore[attr-defined]
    found: set[str] = app.env.linked_sources
    return found


def pages(app: Sphinx) -> Iterator[Page]:
    """Yield a page for every source file that is linked to."""
    for path in sorted(sources(app)):
        code = app.builder.highlighter.highlight_block((app.srcdir / path).read_text(encoding="utf-8"), "python")
        yield f"source/{path}", {"title": path, "body": f"<h1>{path}</h1>{code}"}, "page.html"
