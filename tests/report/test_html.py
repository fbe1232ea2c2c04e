"""The page is whole, safe and self-contained: it parses, holds every figure once, escapes, and loads nothing."""

import base64
import re
from html.parser import HTMLParser

import pytest

from minikd.report.figures import FIGURES
from minikd.report.html import COLUMNS, READING, write_report
from tests.report import sample

CONFIG = '[distillation]\ntemperature = 4.0\nname = "<script>alert(1)</script>"\n'
VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and notices a tag that is left open or closed twice."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def figures(tmp_path):
    paths = {}
    for number, name in enumerate(FIGURES):
        paths[name] = tmp_path / f"{name}.png"
        paths[name].write_bytes(b"\x89PNG" + bytes([number]))
    return paths


def page_of(results, figures, folder, config=CONFIG):
    path = write_report(results, figures, folder, config)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_says_the_result_first(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    assert page.open == []
    assert page.words.index("Distillation helped: 115 errors instead of 158") < page.words.index("421,642")
    assert len(page.all("h1")) == 1
    assert page.all("html") == [{"lang": "en"}]


def test_every_figure_is_inside_once_with_its_words(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    images = [image["src"] for image in page.all("img")]
    inside = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in images]
    assert inside == [path.read_bytes() for path in figures.values()]
    assert all(image["alt"] for image in page.all("img"))
    for name in FIGURES:
        assert READING[name] in page.words


def test_every_number_and_every_column_is_explained(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    for cell in "1.7 MB", "102 k", "98.85", "99.01", "910 µs", "0.0213", "38 k":
        assert cell in page.words
    assert all(meaning in page.words for _, _, meaning in COLUMNS)
    facts = ("temperature 4.0, alpha 0.9", "2 min 57 s", "seed 0", "OpenBLAS 0.3.29", "numpy 2.4.0")
    for fact in ("55,000 images to train on", *facts):
        assert fact in page.words


def test_the_page_loads_nothing(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    sources = [value for _, tag in page.tags for key, value in tag.items() if key in {"src", "href", "srcset", "data"}]
    assert all(source.startswith("data:") for source in sources)
    assert not page.all("script")


def test_hostile_text_stays_text(tmp_path, figures):
    results = sample.results(dataset='"><script>alert(1)</script>')
    results["teacher"]["model"] = "<img src=x onerror=alert(1)>"
    results["name"] = "</title><script>"
    page = page_of(results, figures, tmp_path)
    assert page.open == []
    assert not page.all("script")
    assert len(page.all("img")) == len(figures)
    assert "<img src=x onerror=alert(1)>" in page.words
    assert 'name = "<script>alert(1)</script>"' in page.words


def test_the_page_says_how_to_repeat_the_run(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    assert f"minikd distill --config {tmp_path / 'config.toml'}" in page.words
    assert "temperature = 4.0" in page.words


def test_a_folder_with_blanks_is_quoted(tmp_path, figures):
    folder = tmp_path / "my runs"
    folder.mkdir()
    assert f"--config '{folder / 'config.toml'}'" in page_of(sample.results(), figures, folder).words


@pytest.mark.parametrize(("dataset", "credited"), [("mnist", True), ("fashion-mnist", False), ("my photos", False)])
def test_mnist_alone_is_credited(tmp_path, figures, dataset, credited):
    words = page_of(sample.results(dataset=dataset), figures, tmp_path).words
    assert ("Yann LeCun and Corinna Cortes" in words) == credited


def test_the_bars_are_in_proportion_to_the_errors(tmp_path, figures):
    bars = [bar["style"] for bar in page_of(sample.results(), figures, tmp_path).all("i")]
    widths = [float(re.search(r"width: ([\d.]+)%", bar)[1]) for bar in bars]
    assert widths == [pytest.approx(100 * errors / 158, abs=0.05) for errors in (61, 158, 115)]


def test_a_run_without_errors_has_a_page_too(tmp_path, figures):
    results = sample.results(control=0, distilled=0, p=1.0, only_control=0, only_distilled=0)
    results["teacher"]["errors"] = 0
    assert "both students make 0 errors" in page_of(results, figures, tmp_path).words


def test_the_shipped_recipe_of_each_figure_is_told():
    assert READING.keys() == FIGURES.keys()


def test_a_name_in_the_page_has_no_control_characters_and_may_be_no_utf8(tmp_path):
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    results = {**sample.results(dataset="a\x1b[2Jb\u202ec"), "name": "caf\udce9"}
    text = write_report(results, {}, folder, 'data = "/caf\udce9\x07"\nseed = 1\n').read_text(encoding="utf-8")
    assert r"a\x1b[2Jb\u202ec" in text
    assert r"run caf\xe9" in text
    assert "\\x07&#34;\nseed = 1" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
