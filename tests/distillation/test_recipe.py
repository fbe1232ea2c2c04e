"""A recipe's file: sealed, edited, damaged, and made to do harm."""

import time
import warnings
from dataclasses import replace
from operator import attrgetter

import pytest

from minikd.console.notices import Notice
from minikd.distillation.recipe import SEAL, Recipe, Student, read_recipe, read_run_recipe, sealed
from minikd.errors import ConfigError
from minikd.storage import checksums

RECIPE = Recipe(data="/some/where", seed=3, student=Student(hidden=(8, 6)))


@pytest.fixture
def path(tmp_path):
    (tmp_path / "config.toml").write_text(sealed(RECIPE))
    return tmp_path / "config.toml"


def test_a_recipe_comes_back_and_nothing_is_said(path):
    assert read_recipe(path) == read_run_recipe(path.parent) == RECIPE


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["none", "byte-order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_what_an_editor_does_to_the_bytes_is_no_edit(mark, end, path):
    path.write_bytes(mark + path.read_bytes().replace(b"\n", end))
    assert read_recipe(path) == RECIPE


def test_an_edited_recipe_counts_and_that_is_said(path):
    path.write_text(path.read_text().replace("seed = 3", "seed = 4"))
    with pytest.warns(
        Notice,
        match=r"config\.toml was changed after minikd wrote it, edited or damaged; its present contents are used",
    ):
        assert read_recipe(path).seed == 4


@pytest.mark.parametrize("cut", [(0, 20), (0, 150), (-20, None), (-150, None)])
def test_a_recipe_with_an_end_cut_off_is_told_of_or_refused(cut, path):
    text = path.read_text()
    path.write_text(text.replace(text[slice(*cut)], "", 1) if cut[0] == 0 else text[: cut[0]])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            read_run_recipe(path.parent)
        except ConfigError:
            return
    assert [one.category for one in told] == [Notice]


@pytest.mark.parametrize("text", ["", "# SHA-256 of the ot", 'data = "mnist"\n', "[student]\nepochs = 3\n"])
def test_a_run_does_not_go_on_by_defaults_that_it_never_had(text, path):
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.toml is cut short: it lacks .*start a new run"):
        read_run_recipe(path.parent)
    assert read_recipe(path).data == "mnist"  # as a file of one's own, it says what it says


HARM = {
    "deep lists": "data = " + "[" * 5000 + "]" * 5000,
    "less deep lists": "data = " + "[" * 200 + "]" * 200,
    "deep tables": "student = " + "{a = " * 3000 + "1" + "}" * 3000,
    "a key of many parts": "a" + ".a" * 100_000 + " = 1",
    "a table of many parts": "[a" + ".a" * 100_000 + "]",
    "an integer of 5,000 digits": "seed = " + "9" * 5000,
    "an integer of 400 digits": "seed = " + "9" * 400,
    "an integer of 400 digits for a float": "[teacher]\nlearning_rate = " + "9" * 400,
    "infinity": "[teacher]\nlearning_rate = inf",
    "NaN": "[teacher]\nlearning_rate = nan",
    "a huge float": "[teacher]\nlearning_rate = 1e305",
    "NUL": "data = 'a\0b'",
    "an escaped NUL": 'data = "a\\u0000b"',
    "a date": "seed = 2020-01-01",
    "a wrong date": "seed = 2020-99-99",
    "an unknown key of a megabyte": "x" * 1_000_000 + " = 1",
    "a value of the wrong kind, at length": "seed = '" + "x" * 1_000_000 + "'",
    "too large": "# " + "x" * 2**20,
    "an array of tables": "[[teacher]]\nepochs = 3",
    "a table for a number": "[seed]\na = 1",
    "settings of a method that are none": "[distillation]\nmethod_args = 3",
    "a method that is a number": "[distillation]\nmethod = 3",
    "a method that is a list": "[distillation]\nmethod = ['soft_targets']",
    "a setting of a method that is a table": "[distillation.method_args.temperature]\na = 1",
    "a date for a method's setting": "[distillation.method_args]\ntemperature = 12:00:00",
    "twice": "seed = 1\nseed = 2",
}


@pytest.mark.parametrize("text", HARM.values(), ids=HARM)
def test_a_recipe_made_to_do_harm_is_refused_in_a_line_and_a_moment(text, tmp_path):
    (tmp_path / "bad.toml").write_text(text)
    begin = time.monotonic()
    with pytest.raises(ConfigError, match=r"bad\.toml") as refusal:
        read_recipe(tmp_path / "bad.toml")
    assert time.monotonic() - begin < 10
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 2000


@pytest.mark.parametrize("data", [b"\xff\xfes\0e\0", b"seed = '\xe9'", b"\x00"])
def test_bytes_that_are_no_text_are_refused(data, tmp_path):
    (tmp_path / "bad.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=r"bad\.toml is not a recipe in T|bad\.toml is not text in UTF-8"):
        read_recipe(tmp_path / "bad.toml")


def test_a_recipe_with_the_old_name_of_min_uncertainty_is_read():
    with pytest.warns(Notice, match="the setting softness is called min_uncertainty now"):
        recipe = Recipe.from_toml("[distillation]\nsoftness = 0.3", "r.toml")
    assert recipe.distillation.min_uncertainty == 0.3


def test_a_search_for_settings_of_old_names_is_one_for_the_new():
    recipe = Recipe.from_toml('search = ["student.epochs", "distillation.softness"]', "r.toml")
    assert recipe.search == ("student.epochs", "distillation.min_uncertainty")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[student]\nchannels = [8]",
            r"r.toml, \[student\]: channels is \(8,\), but has no effect, because model is 'mlp'",
        ),
        ("[student]\nmodel = 'cnn'\nhidden = [8]", r"hidden is \(8,\), but has no effect, because model is 'cnn'"),
        ("[teacher]\noptimizer = 'adam'\nmomentum = 0.5", "momentum is 0.5, but has no effect, because optimizer is"),
        ("quantize_steps = 'fixed'", "quantize_steps is 'fixed', but has no effect, because quantize is 'none'"),
        ("[distillation]\nmethod = 'label_smoothing'\ngenerations = 3", "generations is 3, but .* uses no teacher"),
        (
            "search = ['teacher.optimizer']\n[teacher]\nmomentum = 0.5",
            "teacher.momentum is 0.5, but the search chooses teacher.optimizer",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Recipe.from_toml(text, "r.toml")


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("[student]\nmodel = 'cnn'\nchannels = [8]", "student.channels", (8,)),
        ("[student]\nchannels = [16, 32]", "student.channels", (16, 32)),
        ("[student]\nmodel = 'cnn'\nhidden = [128]", "student.hidden", (128,)),
        ("[teacher]\nmomentum = 0.5", "teacher.momentum", 0.5),
        ("[teacher]\noptimizer = 'adam'\nmomentum = 0.9", "teacher.momentum", 0.9),
        ("quantize = 'int4'\nquantize_steps = 'fixed'", "quantize_steps", "fixed"),
    ],
)
def test_a_setting_with_an_effect_and_a_default_are_read(text, place, value):
    assert attrgetter(place)(Recipe.from_toml(text, "r.toml")) == value


def test_settings_without_effect_that_an_earlier_version_wrote_are_left_out(tmp_path):
    text = replace(Recipe(), student=Student(model="cnn"), quantize_steps="learned").to_toml()
    text = text.replace("hidden = [\n    128,\n]", "hidden = [64]").replace('steps = "learned"', 'steps = "fixed"')
    assert "hidden = [64]" in text
    seal = f"{SEAL}{checksums.of_text(text)}\n"
    (tmp_path / "config.toml").write_text(f"{seal}{text}{seal}")
    found = read_run_recipe(tmp_path)
    assert (found.student.model, found.student.hidden, found.quantize_steps) == ("cnn", (128,), "learned")
    (tmp_path / "config.toml").write_text(text)  # written by hand: an error
    with pytest.raises(ConfigError, match="has no effect"):
        read_run_recipe(tmp_path)
