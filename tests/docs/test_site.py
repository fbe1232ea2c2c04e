"""The site: lessons that ran, formulas set, links that lead somewhere, nothing from a network. Needs `.[lessons]`."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.docs.links import Page, broken
from tests.docs.pages import REPOSITORY
from tests.lessons.makers import needs_extra, write_lessons

pytestmark = [needs_extra, pytest.mark.numpy_only("notebooks run in processes of their own, on NumPy")]

CONTENTS = "# Contents\n\n```{toctree}\n../README\n../lessons/01_first\n../lessons/02_second\n```\n"


def minikd(folder, *arguments):
    """Run the command in a folder, in a process of its own."""
    command = [sys.executable, "-m", "minikd", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository of two lessons, of which the first stops at its claim."""
    folder = tmp_path_factory.mktemp("here")
    write_lessons(folder)
    for part in ("_sphinx", "_static", "_extra"):
        shutil.copytree(REPOSITORY / "docs" / part, folder / "docs" / part)
    shutil.copy(REPOSITORY / "docs" / "conf.py", folder / "docs")
    (folder / "docs" / "index.md").write_text(CONTENTS)
    (folder / "README.md").write_text("# Short\n\nSee [nothing](nowhere.md).\n")
    (folder / "minikd").mkdir()
    (folder / "minikd" / "optim.py").write_text("LEARNED = 1\n")
    return folder


@pytest.fixture(scope="module")
def site(folder):
    """The site, and what the command said."""
    return folder / "site", minikd(folder, "lessons", "--html", "site", "--quick")


def test_a_failing_lesson_and_a_dead_link_are_named_and_all_pages_are_written(site):
    folder, ended = site
    assert ended.returncode == 1
    assert "with the faults named above" in ended.stdout
    for word in ("01_first", "AssertionError", "within 1e-12", "nowhere.md"):
        assert word in ended.stderr
    assert "02_second.py: WARNING" not in ended.stderr
    for page in ("index.html", "README.html", "search.html", "lessons/01_first.html", "lessons/02_second.html"):
        assert (folder / page).is_file()
    assert "AssertionError" in (folder / "lessons" / "01_first.html").read_text(encoding="utf-8")


def test_the_link_check_finds_the_dead_link_alone(site):
    assert [line.split(": ")[1] for line in broken(site[0])] == ["#nowhere.md"]


def test_the_link_check_finds_what_is_wrong(tmp_path):
    wrong = ["nowhere.html", "b.html#no", "http://a.b", "https://", "#no"]
    (tmp_path / "a.html").write_text(
        "".join(f'<a href="{link}">x</a>' for link in wrong) + '<script src="https://a.b/c">'
    )
    (tmp_path / "b.html").write_text(
        '<p id="yes"><a href="a.html">a</a><a href="#yes">b</a><a href="https://a.b/c">c</a>'
    )
    assert len(broken(tmp_path)) == len(wrong) + 1


def test_every_formula_is_set(site):
    page = Page(site[0] / "lessons" / "02_second.html")
    assert page.formulas == 3
    assert "$" not in page.text


def test_a_page_holds_text_code_what_was_printed_and_the_figure(site):
    text = (site[0] / "lessons" / "02_second.html").read_text(encoding="utf-8")
    assert '<span class="kn">import</span>' in text
    assert "quick: True" in text
    assert "one is &lt;one&gt; ...." in text
    assert re.search(r'<img [^>]*src="[^"]*\.png"', text)
    assert "made with" in text


def test_what_lessons_write_is_escaped(site):
    text = (site[0] / "lessons" / "02_second.html").read_text(encoding="utf-8")
    assert "&lt;one&gt;" in text
    assert "<one>" not in text


def test_pages_lead_to_their_neighbours_and_to_source_files(site):
    first, second = (Page(site[0] / "lessons" / f"{name}.html") for name in ("01_first", "02_second"))
    assert "02_second.html" in first.links
    assert "01_first.html" in second.links
    assert "../source/minikd/optim.py.html" in first.links
    assert "LEARNED" in (site[0] / "source" / "minikd" / "optim.py.html").read_text(encoding="utf-8")


def test_nothing_is_written_beside_the_site(site, folder):
    assert {path.name for path in folder.iterdir()} <= {"README.md", "docs", "lessons", "minikd", "site", "books"}
    assert [path.name for path in (site[0] / "notebooks").rglob("02_second.ipynb")]


def test_notebooks_are_written(folder):
    ended = minikd(folder, "lessons", "2", "--notebooks", "books")
    assert ended.returncode == 0
    assert ended.stdout.startswith("1 lessons: books\n")
    assert [path.name for path in (folder / "books").iterdir()] == ["02_second.ipynb"]
    book = json.loads((folder / "books" / "02_second.ipynb").read_text(encoding="utf-8"))
    lesson, exercise = book["cells"][:5], book["cells"][5:]
    assert [cell["cell_type"] for cell in lesson] == ["markdown", "code", "markdown", "code", "code"]
    assert [cell["cell_type"] for cell in exercise] == ["markdown", "code", "code"]


@pytest.fixture
def mathml(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs" / "_sphinx"))
    import mathml

    return mathml


@pytest.mark.parametrize("latex", [r"\nothing{x}", r"\begin{aligned} a &= b \end{aligned}"])
def test_a_formula_that_cannot_be_set_is_named(latex, mathml):
    with pytest.raises(ValueError, match=re.escape(repr(latex))):
        mathml.mathml(latex, "block")


def test_no_line_ends_between_a_formula_and_its_full_stop(mathml):
    from docutils import nodes

    page = nodes.document(None, None)
    page += nodes.paragraph(
        "", "", nodes.math("", "x"), nodes.Text(" here "), nodes.math("", "y"), nodes.Text("). Not")
    )
    mathml.keep_punctuation(page)
    (whole,) = page.findall(nodes.inline)
    assert whole.astext() == "y)."
    assert page.astext() == "x here y). Not"


def test_docstrings_are_shown_as_they_are(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs" / "_sphinx"))
    from plain_docstrings import plain

    lines = ["Return |g| of *args and w_, as `a_*`:", "", "    g = |x|", "", "and on."]
    plain(lines)
    assert lines == [
        "Return \\|g\\| of \\*args and w\\_, as `a_*`:",
        "",
        "::",
        "",
        "    g = |x|",
        "",
        "",
        "and on.",
        "",
    ]
