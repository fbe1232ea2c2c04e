"""The page is whole, safe and self-contained: it parses, holds every figure once, escapes, and loads nothing."""

import base64
import json
import re

import pytest

from minikd.report.captions import READING, SHOWN, caption
from minikd.report.figures import FIGURES, figures_of, narrow_of, write_figures
from minikd.report.html import MEASURES, write_report
from tests.exports.chromium import dom, needs_chromium, text_of
from tests.markup import page_at
from tests.report import sample
from tests.report.test_diagnosis import small

CONFIG = '[distillation]\ntemperature = 4.0\nname = "<script>alert(1)</script>"\n'
KEYS = ("teacher", "student_baseline", "student_distilled")


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return write_figures(sample.evidence(), tmp_path_factory.mktemp("run") / "figures")


def earlier_figures(folder):
    """The figures as earlier versions left them."""
    (folder / "figures").mkdir()
    for number, name in enumerate(FIGURES):
        (folder / "figures" / f"{name}.png").write_bytes(b"\x89PNG" + bytes([number]))
    return figures_of(folder)


def page_of(results, figures, folder, config=CONFIG):
    path = write_report(results, figures, folder, config)
    assert path == folder / "report.html"
    return page_at(path)


def test_the_page_is_well_formed_and_says_the_result_first(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    assert page.open == []
    assert page.words.index("Distillation helped: 115 errors instead of 158") < page.words.index("421,642")
    assert len(page.all("h1")) == 1
    assert page.all("html") == [{"lang": "en"}]


def test_every_figure_is_drawn_in_the_page_for_wide_and_narrow_screens_with_its_words(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    assert [one["class"] for one in page.all("div") if one["class"] in ("wide", "narrow")] == ["wide", "narrow"] * 6
    assert len([one for one in page.all("svg") if one["role"] == "img" and one["aria-label"]]) == 12
    assert not page.all("img")
    for name in FIGURES:
        assert page.words.count(caption(name, sample.evidence())) == 3  # its caption, and each drawing's description


def test_no_id_is_twice_in_the_page(tmp_path, figures):
    ids = [one["id"] for _, one in page_of(sample.results(), figures, tmp_path).tags if "id" in one]
    assert len(ids) == len(set(ids)) > 12


def test_the_figures_of_an_earlier_version_are_shown(tmp_path):
    figures = earlier_figures(tmp_path)
    assert list(figures) == list(FIGURES)
    page = page_of(sample.results(), figures, tmp_path)
    images = [image["src"] for image in page.all("img")]
    inside = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in images]
    assert inside == [path.read_bytes() for path in figures.values()]
    assert all(image["alt"] for image in page.all("img"))
    for name in FIGURES:
        assert READING[name] in page.words


def test_flags_and_files_are_code_which_no_line_breaks(tmp_path, figures):
    write_report(small(), figures, tmp_path, CONFIG)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for code in "--teacher-epochs 182", "--teacher-shift 0", "--teacher-model deep", "student_baseline.safetensors":
        assert f"<code>{code}</code>" in text
    assert "p\u00a0&lt;\u00a00.0001" in text


@pytest.mark.parametrize("damage", [b"<script>alert(1)</script></svg>", b"</svg><!-- ", b"\xff"])
def test_an_svg_that_is_not_ours_is_a_picture_which_can_do_nothing(damage, tmp_path):
    figures = write_figures(sample.evidence(samples=20), tmp_path / "figures")
    path = narrow_of(figures["confusion_matrix"])
    path.write_bytes(path.read_bytes().replace(b"</svg>", damage))
    page = page_of(sample.results(), figures, tmp_path)
    assert page.open == []
    assert not page.all("script")
    assert len(page.all("svg")) == 10
    (image,) = page.all("img")
    assert base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")) == (
        figures["confusion_matrix"].read_bytes()
    )


def test_a_figure_without_its_narrow_drawing_is_missing(tmp_path):
    figures = write_figures(sample.evidence(samples=20), tmp_path / "figures")
    assert figures_of(tmp_path) == figures
    narrow_of(figures["disagreements"]).unlink()
    assert list(figures_of(tmp_path)) == list(FIGURES)[:-1]


def test_the_errors_are_the_tables_first_line(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    heads = [one for one in page.all("th") if one.get("scope") == "row"]
    assert len(heads) == len(MEASURES) == 11
    assert MEASURES[0].name == "errors"
    table = page.words[page.words.index("teacher baseline distilled student") :]
    assert table.startswith("teacher baseline distilled student errors in the test 61 158 115 Wrong answers")


@pytest.mark.parametrize(("baseline", "distilled", "column"), [(158, 115, 2), (115, 158, 1)])
def test_the_student_to_use_is_marked_in_the_table(baseline, distilled, column, tmp_path, figures):
    page = page_of(sample.results(baseline, distilled), figures, tmp_path)
    cells = [one.get("class") == "use" for one in page.all("td") if one.get("class") != "meaning"]
    assert [cells[k::3] for k in range(3)] == [[k == column] * len(MEASURES) for k in range(3)]


def test_every_number_and_every_line_of_the_table_is_explained(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    for cell in "1.7 MB", "102 k", "98.85", "99.01", "910 µs", "0.0213", "38 k":
        assert cell in page.words
    assert all(measure.meaning in page.words for measure in MEASURES)
    facts = ("temperature 4.0, alpha 0.9", "2 min 57 s", "baseline 42 s", "seed 0", "OpenBLAS 0.3.29", "numpy 2.4.0")
    for fact in ("55,000 images to train on", *facts):
        assert fact in page.words


def test_the_page_loads_nothing(tmp_path, figures):
    page = page_of(sample.results(), figures, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"base64,[^\"]*", "", text.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    assert not re.search(r"https?://|//[a-z]|@import|url\((?!#)", text)
    sources = [value for _, tag in page.tags for key, value in tag.items() if key in {"src", "href", "srcset", "data"}]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not page.all("script")


def test_hostile_text_stays_text(tmp_path, figures):
    results = sample.results(dataset='"><script>alert(1)</script>')
    results["teacher"]["model"] = "<img src=x onerror=alert(1)>"
    results["name"] = "</title><script>"
    page = page_of(results, figures, tmp_path)
    assert page.open == []
    assert not page.all("script")
    assert not page.all("img")
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
    results = sample.results(baseline=0, distilled=0, p=1.0, only_baseline=0, only_distilled=0)
    results["teacher"]["errors"] = 0
    assert "both students make 0 errors" in page_of(results, figures, tmp_path).words


def test_the_shipped_recipe_of_each_figure_is_told():
    assert READING.keys() == SHOWN.keys() == FIGURES.keys()


@needs_chromium
@pytest.mark.parametrize("width", [320, 400, 800, 1200])
def test_nothing_is_off_the_screen(width, tmp_path, figures):
    """In a browser, with the longest of numbers, and a heading that has no blanks."""
    results = sample.results(baseline=10_000, distilled=9_999, p=1.0)
    for key in KEYS:
        results[key].update(parameters=999_949, bytes=999.4e6, macs=99.9e9, nll=12.3456, ece=0.9999, latency_ms=9_999.0)
    found = seen(write_report(results, figures, tmp_path, CONFIG), width)
    assert found["screen"] == width
    assert found["page"] <= width
    assert found["table"] <= width
    assert found["shown"] == (["narrow"] if width < 720 else ["wide"]) * 6


@needs_chromium
def test_the_page_and_its_figures_follow_a_dark_screen(tmp_path, figures):
    path = write_report(sample.results(), figures, tmp_path, CONFIG)
    light, dark = seen(path, 800), seen(path, 800, "--blink-settings=preferredColorScheme=0")
    assert light["ground"] == light["figure"] == [253, 253, 251]
    assert dark["ground"] == dark["figure"] == [22, 22, 20]
    assert max(light["text"]) < 60
    assert min(dark["text"]) > 200


SEEN = """
const shown = [...document.querySelectorAll("figure div")].filter((one) => one.offsetWidth);
const colour = (one, of) => getComputedStyle(one)[of].match(/\\d+/g).map(Number);
const text = shown[0].querySelector("text[style*=bold], text[style*='700']") || shown[0].querySelector("text");
parent.postMessage(JSON.stringify({
  screen: innerWidth, page: document.documentElement.scrollWidth, shown: shown.map((one) => one.className),
  table: Math.max(...[...document.querySelectorAll("table *")].map((one) => one.getBoundingClientRect().right)),
  ground: colour(document.body, "backgroundColor"), figure: colour(shown[0].firstChild, "backgroundColor"),
  text: colour(text, "fill") }), "*");
"""


OUTSIDE = """<!doctype html><meta name="color-scheme" content="light dark"><pre id="found"></pre>
<script>onmessage = (message) => { document.getElementById("found").textContent = message.data; };</script>
<iframe src="measured.html" style="width: %dpx; height: 900px; border: 0"></iframe>
"""
"""A browser's window is 500 pixels wide at least, a frame in it may be narrower."""


def seen(path, width, *flags):
    """Return what a browser makes of a report: widths in pixels, colours, which drawings are shown."""
    page = path.read_text(encoding="utf-8").replace("</body>", f"<script>{SEEN}</script></body>")
    path.with_name("measured.html").write_text(page, encoding="utf-8")
    outside = path.with_name("outside.html")
    outside.write_text(OUTSIDE % width, encoding="utf-8")
    return json.loads(
        text_of(dom(outside, "", "--window-size=1400,1000", "--virtual-time-budget=3000", *flags), "found")
    )


def test_a_name_in_the_page_has_no_baseline_characters_and_may_be_no_utf8(tmp_path):
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    results = {**sample.results(dataset="a\x1b[2Jb\u202ec"), "name": "caf\udce9"}
    text = write_report(results, {}, folder, 'data = "/caf\udce9\x07"\nseed = 1\n').read_text(encoding="utf-8")
    assert r"a\x1b[2Jb\u202ec" in text
    assert r"run caf\xe9" in text
    assert "\\x07&#34;\nseed = 1" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
