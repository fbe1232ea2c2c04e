"""Notebooks that ran, and pages that open from disk with their mathematics set. Needs the extra `lessons`."""

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minikd.errors import ConfigError
from minikd.lessons import markdown
from tests.lessons.makers import needs_extra, write_lessons

pytestmark = [needs_extra, pytest.mark.numpy_only("notebooks run in processes of their own, on NumPy")]

REPOSITORY = Path(__file__).parents[2]


class Page(HTMLParser):
    """A page's text outside of code, and what it loads and links to."""

    def __init__(self, path):
        super().__init__()
        self.text, self.loads, self.links, self.formulas, self.open = "", [], [], 0, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.formulas += tag == "math"
        if tag == "a":
            self.links.append(given["href"])
        self.loads += [given[name] for name in ("src", "srcset", "data", "poster") if name in given]
        self.loads += [given["href"]] if tag == "link" else []
        assert tag not in ("script", "iframe", "object", "embed")
        if tag in ("pre", "code"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("pre", "code"):
            self.open.pop()

    def handle_data(self, data):
        if not self.open:
            self.text += data


def minikd(folder, *arguments):
    """Run the command in a folder, in a process of its own."""
    command = [sys.executable, "-m", "minikd", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    write_lessons(folder)
    return folder


@pytest.fixture(scope="module")
def site(folder):
    """A site of two lessons, of which the first fails, and what the command said."""
    return folder / "site", minikd(folder, "lessons", "--html", "site", "--quick")


def test_a_failing_lesson_is_named_and_the_others_are_written(site):
    folder, ended = site
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if "minikd:" in line]
    for word in ("01_first.py", "cell 4", "`lesson.close(", "AssertionError", "within 1e-12"):
        assert word in line
    assert "02_second" not in line
    assert "2 lessons, 1 of them failed" in ended.stdout
    assert {path.name for path in folder.iterdir()} == {
        "01_first.html",
        "02_second.html",
        "index.html",
        "style.css",
        "output",
    }
    assert "did not run to its end" in (folder / "01_first.html").read_text(encoding="utf-8")
    assert "did not run to its end" not in (folder / "02_second.html").read_text(encoding="utf-8")


def test_pages_load_nothing_from_a_network(site):
    for path in site[0].glob("*.html"):
        page = Page(path)
        assert "style.css" in page.loads
        for source in page.loads:
            assert source.startswith("data:") or (site[0] / source).is_file(), source
        for link in page.links:
            assert link == "https://arxiv.org/abs/1" or (site[0] / link).is_file(), link
    assert not re.search(r"url\(|@import|https?:", (site[0] / "style.css").read_text())


def test_every_formula_is_set(site):
    page, index = Page(site[0] / "02_second.html"), Page(site[0] / "index.html")
    assert page.formulas == 3
    assert index.formulas == 2
    assert "$" not in page.text + index.text


def test_a_page_holds_text_code_what_was_printed_and_the_figure(site):
    text = (site[0] / "02_second.html").read_text(encoding="utf-8")
    assert '<span class="kn">import</span>' in text
    assert "quick: True" in text
    assert "one is &lt;one&gt; ...." in text
    (picture,) = re.findall(r'<img src="data:image/png;base64,([^"]*)"', text)
    assert base64.b64decode(picture) == (site[0] / "output" / "02_second.png").read_bytes()
    assert '<img src="output/02_second.png"' in (site[0] / "index.html").read_text(encoding="utf-8")


def test_what_lessons_write_is_escaped(site):
    text = (site[0] / "02_second.html").read_text(encoding="utf-8") + (site[0] / "index.html").read_text(
        encoding="utf-8"
    )
    assert not re.search(r"<(b|i|one)>", text)
    for word in ("&lt;b&gt;here", "&lt;i&gt;logits", "02_second &amp; more"):
        assert word in text


def test_pages_lead_to_their_neighbours_and_to_the_index(site):
    first, second = Page(site[0] / "01_first.html"), Page(site[0] / "02_second.html")
    assert first.links.count("02_second.html") == 3
    assert second.links.count("01_first.html") == 2
    assert "index.html" in first.links
    assert "[file]" not in first.text
    assert "file, exercise, paper" in first.text


def test_notebooks_hold_what_their_cells_printed(folder):
    ended = minikd(folder, "lessons", "2", "--notebooks", "books")
    assert ended.returncode == 0
    assert ended.stdout.startswith("1 lessons: books\n")
    assert sorted(path.name for path in (folder / "books").iterdir()) == ["02_second.ipynb", "output"]
    book = json.loads((folder / "books" / "02_second.ipynb").read_text(encoding="utf-8"))
    printed = "".join("".join(out.get("text", [])) for cell in book["cells"] for out in cell.get("outputs", []))
    assert "quick: False" in printed
    assert "one is <one> ...." in printed


def test_a_line_of_mathematics_may_stand_within_a_step():
    made = markdown.writer([]).render("1. So\n   $$x = y$$\n   and on.")
    assert made.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == 1
    assert "$" not in made
    assert "<div" not in made


def test_no_line_ends_between_a_formula_and_its_full_stop():
    made = markdown.unbroken(markdown.writer([]).render("Over $x$ here $y$. Not $z$ there"))
    assert made.count("unbroken") == 1
    assert re.search(r'here <span class="unbroken"><span class="math inline">.*</math></span>\.</span> Not', made)


@pytest.mark.parametrize("latex", [r"\nothing{x}", r"\begin{aligned} a &= b \end{aligned}"])
def test_a_formula_that_cannot_be_set_is_named(latex):
    with pytest.raises(ConfigError) as raised:
        markdown.mathml(latex, block=True)
    assert repr(latex) in str(raised.value)


def test_every_formula_of_the_lessons_can_be_set():
    written = markdown.writer([])
    for path in sorted((REPOSITORY / "lessons").glob("*.py")):
        cells = re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for cell in cells:
            if cell.startswith(" [markdown]"):
                text = "\n".join(line[1:].removeprefix(" ") for line in cell.splitlines()[1:])
                made = re.sub(r"<(code|pre)\b.*?</\1>", "", written.render(text), flags=re.DOTALL)
                assert "$" not in made, f"{path}: {text}"
