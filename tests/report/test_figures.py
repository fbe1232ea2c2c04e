"""The figures draw the right data: bars are probabilities, cells are counts, and odd data sets break nothing."""

import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from scipy.special import softmax as scipy_softmax
from scipy.stats import entropy

from minikd.data.ink import is_ink
from minikd.metrics import confusion_matrix, ece
from minikd.report import MODELS, style
from minikd.report.captions import caption
from minikd.report.curves import training_curves
from minikd.report.decisions import confusion, reliability_diagram
from minikd.report.figures import FIGURES, narrow_of, write_figures
from minikd.report.pictures import COLUMNS, disagreements, first_layer_filters
from minikd.report.soft_targets import mean_entropy, soft_targets
from minikd.report.svg import SVG, safe, svg
from tests.report import sample


@pytest.fixture(scope="module")
def evidence():
    return sample.evidence()


def title(figure):
    return figure.get_suptitle()


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


@pytest.fixture(scope="module")
def written(tmp_path_factory, evidence):
    return write_figures(evidence, tmp_path_factory.mktemp("new") / "figures")


def test_every_figure_is_written_as_svg_for_wide_and_for_narrow_screens_with_nothing_beside_it(written):
    assert list(written) == list(FIGURES)
    both = [path for wide in written.values() for path in (wide, narrow_of(wide))]
    assert sorted(both) == sorted(next(iter(both)).parent.iterdir())
    for path in both:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        width = float(root.get("viewBox").split()[2])
        assert width <= 72 * style.NARROW if path in map(narrow_of, written.values()) else width >= 720


def test_a_figure_tells_what_it_shows_to_who_cannot_see_it(written):
    for path in written.values():
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.get("role") == "img"
        assert len(root.get("aria-label")) > 20
        assert len(root.findtext("{*}desc")) > 100


def test_the_text_of_a_figure_is_text_in_the_readers_own_font(written):
    for path in written.values():
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        shown = " ".join(one.text for one in root.iter(f"{SVG}text") if one.text)
        assert root.get("aria-label")[:25] in shown
        assert "font-family" not in text.replace(root.findtext("{*}style"), "")


def test_every_colour_of_a_figure_is_its_pages(written):
    """Else it would not follow a dark page: lines and text in ink would vanish on it."""
    for wide in written.values():
        for path in (wide, narrow_of(wide)):
            root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
            styles = " ".join(one.get("style", "") for one in root.iter())
            assert {colour.upper() for colour in re.findall("#[0-9a-f]{6}", styles)} <= {style.ON_COLOUR}
            assert "var(--ink)" in styles


def test_ink_turns_light_on_a_dark_page_and_photographs_do_not():
    drawn = sample.evidence(samples=40)
    drawn.test_images[:, :, :20] = 0
    ink = svg(disagreements(drawn), "one", "")
    assert b' class="ink"' in ink
    assert b' class="ink"' not in svg(disagreements(sample.evidence(samples=40, shape=(3, 9, 9))), "one", "")
    assert b".figure .ink { filter: invert(1); }" in ink


def test_the_ids_in_figures_of_one_page_differ(written):
    found = [
        element.get("id")
        for wide in written.values()
        for path in (wide, narrow_of(wide))
        for element in ElementTree.fromstring(path.read_text(encoding="utf-8")).iter()
        if element.get("id")
    ]
    assert len(found) == len(set(found)) > 12


def test_what_a_figure_refers_to_is_in_it(written):
    for path in written.values():
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text))
        for first, second in re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text):
            assert f'id="{first or second}"' in text


def test_the_same_figure_has_the_same_bytes(evidence):
    assert svg(training_curves(evidence), "one", "words") == svg(training_curves(evidence), "one", "words")


def beyond(figure):
    """The labels of ticks that lie beyond their axes, which are not drawn."""
    for ax in figure.axes:
        for place, axis in enumerate((ax.xaxis, ax.yaxis)):
            low, high = sorted(axis.get_view_interval())
            yield from (one for one in axis.get_ticklabels() if not low <= one.get_position()[place] <= high)


@pytest.mark.parametrize("names", [None, tuple(f"class {k} of names" for k in range(10))], ids=["digits", "words"])
@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
def test_a_narrow_figure_is_readable_on_a_phone(draw, names):
    """Its text is 9 pixels high at least where the page is 368 pixels wide, and none of it is cut off."""
    figure = draw(sample.evidence(names=names), True)
    figure.draw_without_rendering()
    for text in set(figure.findobj(Text)) - set(beyond(figure)):
        if not text.get_text().strip() or not text.get_visible():
            continue
        assert text.get_fontsize() * 368 / (72 * style.NARROW) >= 9, text
        box = text.get_window_extent()
        assert -1 <= box.x0 <= box.x1 <= figure.bbox.width + 1, text


def test_large_pictures_are_drawn_small():
    image = np.zeros((3, 300, 200), np.uint8)
    image[:, :150] = 255
    shown = style.small(style.picture(image))
    assert shown.shape == (75, 50, 3)
    assert shown[0].min() == 1
    assert shown[-1].max() == 0
    assert style.small(np.ones((96, 20))).shape == (96, 20)
    assert style.small(np.ones((500, 2))).shape == (500, 2)


GOOD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M 0 0"/>%s</svg>'


def test_a_figure_of_ours_is_safe_in_a_page_and_leaves_its_style_sheet_behind(written):
    for path in written.values():
        root = safe(path.read_text(encoding="utf-8"))
        assert root.tag == "svg"
        assert root.find("style") is None
        assert len(root.findtext("desc")) > 100
    assert safe(GOOD % "") is not None


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<path d="M 0 0" onload="alert(1)"/>',
        '<use href="http://elsewhere/#a"/>',
        '<image href="javascript:alert(1)"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<path style="fill: url(http://elsewhere)"/>',
        r'<path style="fill: u\72l(http://elsewhere)"/>',
        "<foreignObject/>",
        '<a href="#x"/>',
        '<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>',
        "<unfinished",
    ],
)
def test_what_could_do_harm_in_a_page_is_no_figure(inside):
    assert safe(GOOD % inside) is None


def test_a_file_that_is_no_svg_is_no_figure():
    assert safe("") is None
    assert safe("a figure") is None
    assert safe("<html/>") is None
    assert safe('<!DOCTYPE svg [<!ENTITY a "b">]>' + GOOD % "") is None


def test_the_report_never_loads_pyplot_or_changes_the_users_settings():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from pathlib import Path\n"
        "from minikd.report.figures import write_figures\n"
        "from tests.report import sample\n"
        "import tempfile\n"
        "with tempfile.TemporaryDirectory() as folder: write_figures(sample.evidence(samples=20), Path(folder))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert all(matplotlib.rcParams[key] == before[key] for key in before if key != 'backend')\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_the_report_does_not_import_matplotlib():
    code = (
        "import sys, minikd.report, minikd.report.figures, minikd.report.html\n"
        "assert not {'matplotlib', 'jinja2', 'scipy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_curves_hold_the_history(evidence):
    left, right = training_curves(evidence).axes
    for ax, column in (left, "loss"), (right, "accuracy"):
        for line in ax.get_lines():
            rows = [row for row in evidence.history if MODELS[row["model"]] == line.get_label()]
            expected = [100 * (1 - row[column]) if column == "accuracy" else row[column] for row in rows]
            assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
            np.testing.assert_allclose(line.get_ydata(), expected)
    assert [text.get_text() for text in right.get_legend().get_texts()] == list(MODELS.values())
    assert len({line.get_linestyle() for line in right.get_lines()}) == 3  # a grey print tells them apart
    assert (
        title(training_curves(evidence))
        == "Validation error ends at 2.16 % for the distilled student, 3.06 % for the baseline"
    )


def test_a_logarithmic_axis_is_left_alone_where_an_error_is_zero():
    rows = [{**row, "accuracy": 1.0, "loss": 0.0} for row in sample.history()]
    left, right = training_curves(sample.evidence(history=rows)).axes
    assert left.get_yscale() == right.get_yscale() == "linear"


def test_rows_of_another_split_do_not_enter_the_curve():
    rows = [*sample.history(3), *({**row, "accuracy": 0.5} for row in sample.history(3, evaluated_on="test"))]
    for line in training_curves(sample.evidence(history=rows)).axes[1].get_lines():
        assert len(line.get_ydata()) == 3
        assert max(line.get_ydata()) < 50


def panels(figure):
    """Return the temperature of each panel of bars, and the bars' lengths."""
    found = {}
    for ax in figure.axes:
        name = ax.get_title(loc="left")
        if name.startswith("T = "):
            found[float(name.split()[2])] = [bar.get_width() for bar in ax.patches]
    return found


def test_the_bars_are_the_teachers_softmax_of_the_image_shown(evidence):
    figure = soft_targets(evidence)
    sample_number = int(figure.axes[0].get_title(loc="left").split()[-1])
    shown = figure.axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(shown, evidence.test_images[sample_number, 0] / 255)
    bars = panels(figure)
    assert sorted(bars) == [1, 2, 4, 8, 20]
    for temperature, widths in bars.items():
        expected = scipy_softmax(evidence.logits["teacher"][sample_number].astype(float) / temperature)
        np.testing.assert_allclose(widths, expected, rtol=1e-6)
    assert evidence.predictions("teacher")[sample_number] == evidence.test_labels[sample_number]
    assert np.sort(bars[1])[-2] > 0.05


def test_a_temperature_of_its_own_gets_a_panel_and_the_mark():
    figure = soft_targets(sample.evidence(temperature=3.0))
    assert sorted(panels(figure)) == [1, 2, 3, 4, 8, 20]
    assert [ax.get_title(loc="left") for ax in figure.axes if "this run" in ax.get_title(loc="left")] == [
        "T = 3 (this run)"
    ]


def test_the_entropy_curve_is_the_mean_entropy(evidence):
    logits = evidence.logits["teacher"].astype(float)
    for temperature in 0.5, 4.0, 50.0:
        expected = entropy(scipy_softmax(logits / temperature, axis=1), axis=1).mean()
        assert mean_entropy(logits, temperature) == pytest.approx(expected, rel=1e-9)
    curve = soft_targets(evidence).axes[-1].get_lines()[0]
    heights = curve.get_ydata()
    assert (np.diff(heights) > 0).all()
    assert heights[0] == pytest.approx(mean_entropy(logits, curve.get_xdata()[0]))
    assert heights[-1] <= np.log(10)


def test_of_many_classes_the_likeliest_are_drawn():
    evidence = sample.evidence(classes=50)
    figure = soft_targets(evidence)
    number = int(figure.axes[0].get_title(loc="left").split()[-1])
    probabilities = scipy_softmax(evidence.logits["teacher"][number].astype(float))
    widths = panels(figure)[1]
    assert len(widths) == 10
    np.testing.assert_allclose(sorted(widths), np.sort(probabilities)[-10:], rtol=1e-6)
    names = [tick.get_text() for tick in figure.axes[1].get_yticklabels()]
    np.testing.assert_allclose(widths, [probabilities[int(name)] for name in names], rtol=1e-6)


def test_the_confusion_matrices_hold_every_image_once(evidence):
    axes = confusion(evidence).axes
    for ax, model in zip(axes, ("teacher", "student_distilled"), strict=True):
        shown = ax.get_images()[0].get_array().filled(0)
        expected = confusion_matrix(evidence.logits[model], evidence.test_labels)
        off = expected - np.diag(np.diag(expected))
        assert np.array_equal(shown, off)
        assert f"{off.sum()} errors" in ax.get_title(loc="left")
        written = {text.get_position(): int(text.get_text()) for text in ax.texts}
        assert sum(written.values()) == len(evidence.test_labels)
        assert all(expected[row, column] == number for (column, row), number in written.items())


def test_the_confusion_title_names_the_commonest_mistake():
    matrix = confusion_matrix(sample.evidence().logits["student_distilled"], sample.evidence().test_labels)
    off = matrix - np.diag(np.diag(matrix))
    row, column = np.unravel_index(off.argmax(), off.shape)
    assert f"{row} taken for {column}, {off.max()} time" in title(confusion(sample.evidence()))


def test_two_hundred_classes_thin_out_their_labels():
    ax = confusion(sample.evidence(samples=400, classes=200)).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [str(k) for k in range(0, 200, 10)]
    assert not ax.texts


def test_the_reliability_bars_are_accuracies_and_the_counts_hold_every_image(evidence):
    axes = reliability_diagram(evidence).axes
    for column, model in enumerate(MODELS):
        upper, lower = axes[column], axes[len(MODELS) + column]
        confidence = scipy_softmax(evidence.logits[model].astype(float), axis=1).max(axis=1)
        right = evidence.predictions(model) == evidence.test_labels
        assert sum(bar.get_height() for bar in lower.patches) == len(right)
        for bar in upper.patches:
            inside = (confidence > bar.get_x()) & (confidence <= bar.get_x() + bar.get_width())
            assert bar.get_height() == pytest.approx(right[inside].mean())
        expected = 100 * ece(evidence.logits[model], evidence.test_labels)
        assert upper.get_title(loc="left") == f"{MODELS[model]}: ECE {expected:.2f} %"


def test_the_filters_are_the_weights_and_their_limits_are_symmetric(evidence):
    axes = first_layer_filters(evidence).axes
    assert len(axes) == 3
    for ax in axes:
        low, high = ax.get_images()[0].get_clim()
        assert low == -high < 0
    norms = (evidence.filters["student_distilled"] ** 2).sum(axis=(1, 2, 3))
    strongest = norms.argmax()
    for ax, model in (axes[1], "student_baseline"), (axes[2], "student_distilled"):
        corner = ax.get_images()[0].get_array()[:28, :28]
        np.testing.assert_allclose(corner, evidence.filters[model][strongest, 0])  # the same unit of both students


def test_colour_filters_are_shown_in_colour_with_zero_as_grey():
    evidence = sample.evidence(shape=(3, 16, 16))
    evidence.filters["student_distilled"][:] = 0
    evidence.filters["student_distilled"][7] = 1
    sheet = first_layer_filters(evidence).axes[2].get_images()[0].get_array()
    assert sheet.shape[2] == 3
    np.testing.assert_allclose(sheet[:16, :16], 1)
    assert (sheet == 0.5).any()


def test_a_mosaic_keeps_tiles_apart():
    sheet = style.mosaic(np.arange(1.0, 4.0).reshape(3, 1, 1) * np.ones((3, 24, 24)), columns=2)
    assert sheet.shape == (50, 50)
    assert sheet[:24, :24].min() == sheet[:24, :24].max() == 1
    assert sheet[26:, :24].min() == 3
    assert np.isnan(sheet[24:26]).all()
    assert np.isnan(sheet[26:, 26:]).all()


def test_the_disagreements_show_the_image_its_class_and_all_three_answers(evidence):
    figure = disagreements(evidence)
    answers = {model: evidence.predictions(model) for model in MODELS}
    differ = answers["student_baseline"] != answers["student_distilled"]
    assert f"disagree on {differ.sum()} of 200" in title(figure)
    drawn = [ax for ax in figure.axes if ax.get_images()]
    assert 0 < len(drawn) <= differ.sum()
    for ax in drawn:
        pixels = np.asarray(ax.get_images()[0].get_array())
        (number,) = np.flatnonzero((np.abs(evidence.test_images[:, 0] / 255 - pixels) < 1e-9).all(axis=(1, 2)))
        assert differ[number]
        label = evidence.test_labels[number]
        lines = [text.get_text() for text in ax.texts if not text.get_text().startswith(("Only", "Both"))]
        marks = {model: "✓" if answers[model][number] == label else "✗" for model in MODELS}
        assert lines[0] == f"true {label}"
        assert lines[1] == f"{marks['student_baseline']} baseline {answers['student_baseline'][number]}"
        assert lines[2] == f"{marks['student_distilled']} distilled {answers['student_distilled'][number]}"
        assert lines[3] == f"{marks['teacher']} teacher {answers['teacher'][number]}"


def test_the_disagreements_are_counted_by_who_is_right(evidence):
    alone = evidence.predictions("student_baseline") == evidence.test_labels
    taught = evidence.predictions("student_distilled") == evidence.test_labels
    headings = [text for text in texts(disagreements(evidence)) if ": " in text]
    assert headings[:2] == [
        f"Only the distilled student is right: {(taught & ~alone).sum()}",
        f"Only the baseline is right: {(alone & ~taught).sum()}",
    ]


def test_no_more_than_two_rows_of_one_kind_are_drawn():
    evidence = sample.evidence(samples=100, wrong=(0, 0.9, 0))
    assert sum(bool(ax.get_images()) for ax in disagreements(evidence).axes) == 2 * COLUMNS


def test_students_who_always_agree_are_said_to():
    figure = disagreements(sample.evidence(wrong=(0.1, 0, 0)))
    assert title(figure) == "The two students agree on all 200 test images"


WORDS = (
    "T-shirt/top",
    "$100",
    "<b>Coat</b>",
    "two\nlines",
    "a_b^c",
    "お",
    "a very long name of a class",
    "%",
    "",
    "{x}",
)
ODD = {
    "words, in colour, as floats": {"names": WORDS, "shape": (3, 12, 20), "dtype": np.float32},
    "two classes, three images": {"samples": 3, "classes": 2, "shape": (1, 5, 9), "wrong": (0, 0, 0)},
    "one image, all of it wrong": {"samples": 1, "classes": 2, "wrong": (1, 1, 1)},
    "many classes": {"samples": 300, "classes": 120, "shape": (1, 8, 8)},
    "no history, no filters": {"samples": 40, "history": [], "filters": {}},
    "one epoch": {"samples": 40, "history": sample.history(1)},
    "float64 logits, T below 1": {"samples": 40, "temperature": 0.25},
}


@pytest.mark.parametrize("case", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", FIGURES)
def test_odd_data_sets_draw_without_a_warning(name, case):
    odd = sample.evidence(**case)
    for narrow in (False, True):
        drawn = safe(svg(FIGURES[name](odd, narrow), name, caption(name, odd)).decode())
        assert len(list(drawn.iter("text"))) >= 2


def test_a_name_is_cut_in_its_middle_and_starts_no_formula():
    assert style.label("class name 1234567890", 11) == "class…67890"
    assert style.label("a $b$") == r"a \$b\$"
    assert style.label(" two\nlines ") == "two lines"


@pytest.mark.parametrize(("count", "shown"), [(2, 2), (30, 30), (31, 16), (200, 20), (5000, 1)])
def test_class_ticks_thin_out(count, shown):
    positions, names = style.class_ticks([str(k) for k in range(count)])
    assert len(positions) == shown
    assert names == [str(position) for position in positions]


def test_only_ink_on_black_is_shown_as_ink_on_paper():
    images = np.zeros((4, 1, 6, 6), np.uint8)
    images[:, :, 2:4, 2:4] = 255
    assert is_ink(images)
    assert not is_ink(images + 1)
    assert not is_ink(images.repeat(3, axis=1))


DRAW = (
    "import sys; from pathlib import Path\n"
    "from minikd.report.figures import write_figures\n"
    "from tests.report import sample\n"
    "write_figures(sample.evidence(samples=20), Path(sys.argv[1]))\n"
)


@pytest.mark.parametrize("name", ["environment", "file", "folder", "bytes", "rc", "config", "styles", "home"])
def test_no_setting_of_matplotlibs_ends_a_run_changes_a_figure_or_says_anything(name, tmp_path, evidence):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe nonsense: \xff")
    (tmp_path / "rc").write_text("backend: nonsense\naxes.titlesize: 30\ntext.usetex: True\nno such setting: 1\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "matplotlibrc").write_bytes(b"\xff")
    (tmp_path / "styles" / "stylelib").mkdir(parents=True)
    (tmp_path / "styles" / "stylelib" / "bad.mplstyle").write_bytes(b"axes.grid: \xff")
    here = tmp_path / "here"
    here.mkdir()
    if name == "file":
        (here / "matplotlibrc").write_bytes(b"\xff\xfe")
    if name == "folder":
        (here / "matplotlibrc").mkdir()
    settings = {
        "environment": {"MPLBACKEND": "nonsense", "MPLCONFIGDIR": os.devnull},
        "bytes": {"MATPLOTLIBRC": str(tmp_path / "bytes"), "MPLBACKEND": "module://nowhere"},
        "rc": {"MATPLOTLIBRC": str(tmp_path / "rc"), "MPLBACKEND": "TkAgg"},
        "config": {"MPLCONFIGDIR": str(tmp_path / "config")},
        "styles": {"MPLCONFIGDIR": str(tmp_path / "styles"), "MPLBACKEND": "Qt5Agg"},
        "home": {"HOME": os.devnull, "XDG_CONFIG_HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"},
    }
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), **settings.get(name, {})}
    command = [sys.executable, "-c", DRAW, str(tmp_path / "drawn")]
    ended = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "")
    usual = write_figures(sample.evidence(samples=20), tmp_path / "usual")
    assert [path.read_bytes() for path in usual.values()] == [
        (tmp_path / "drawn" / path.name).read_bytes() for path in usual.values()
    ]


def test_what_was_set_for_matplotlib_is_as_it_was(tmp_path):
    code = (
        "import os, logging; before = dict(os.environ)\n"
        "from minikd.report import style\n"
        "style.load(); import matplotlib\n"
        "assert dict(os.environ) == before and logging.getLogger('matplotlib').level == logging.NOTSET\n"
        "assert matplotlib.rcParams._get_backend_or_none() == 'svg'\n"
    )
    environment = {**os.environ, "MPLBACKEND": "svg", "MATPLOTLIBRC": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


ODD = ["$", "$$", r"\$", "$x$", "$\\frac{", "\\", "_^{}", "a\nb", "\x1b[2J", "\u202e", "caf\udce9", "猫", "", " ", "%s"]


@pytest.mark.parametrize("name", ODD)
def test_any_class_name_is_drawn_as_it_is(name, evidence):
    named = sample.evidence(class_names=(name, f"b{name}c{name}", *evidence.class_names[2:]))
    for figure, draw in FIGURES.items():
        assert safe(svg(draw(named, False), figure, caption(figure, named)).decode()) is not None


@pytest.mark.parametrize("name", ["$", "$$", r"\$", "$x$", "a$b$c", "$\\frac{", "_^{}"])
def test_a_formula_in_a_name_is_no_formula(name):
    from matplotlib.text import Text

    assert Text()._preprocess_math(style.label(name)) == (name, False)


def test_a_name_in_a_figure_has_no_control_characters():
    assert style.label("\x1b\udce9\u202e") == r"\x1b\xe9\u202e"
