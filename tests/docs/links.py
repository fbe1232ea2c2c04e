"""Do all links of a site that was built lead somewhere? Usage: python -m tests.docs.links SITE

Looks at no network: of an address elsewhere it asks only that it is https and well formed.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
ELSEWHERE = re.compile(r"https://[\w-]+(\.[\w-]+)+(/\S*)?")


class Page(HTMLParser):
    """A page's links, what it loads, the names that a link may lead to, its text outside of code, its formulas."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.text, self.formulas, self.depth = "", 0, 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        self.formulas += tag == "math"
        self.depth += tag in ("pre", "code", "script", "style")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADED.get(tag) in given:
            self.loads.append(given[LOADED[tag]])

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag in ("pre", "code", "script", "style")

    def handle_data(self, data: str) -> None:
        self.text += "" if self.depth else data


def broken(site: Path) -> list[str]:
    """Return what leads nowhere, or loads something from a network, in the pages of a site."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        found += [f"{path}: loads {one}" for one in page.loads if urlsplit(one).scheme not in ("", "data")]
        local = [one for one in page.links + page.loads if not urlsplit(one).scheme]
        found += [f"{path}: {one}" for one in local if not leads(path, one, pages)]
        elsewhere = [one for one in page.links if urlsplit(one).scheme]
        found += [f"{path}: {one}" for one in elsewhere if not ELSEWHERE.fullmatch(one)]
    return found


def leads(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    """Return whether a link from a page leads to a file, and to a name in it where the link has one."""
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].names


if __name__ == "__main__":
    told = broken(Path(sys.argv[1]))
    print("\n".join(told) or "every link leads somewhere")
    sys.exit(1 if told else 0)
