"""Settings refuse what they cannot be, and say what they can."""

import json
import os
from dataclasses import asdict, dataclass, fields

import numpy as np
import pytest

from minikd import settings
from minikd.console.notices import Notice
from minikd.distillation.recipe import Student, Teacher
from minikd.errors import ConfigError
from minikd.settings import Section, listed, setting


@dataclass(frozen=True)
class Some(Section):
    rate: float = setting(0.5, "between", 0, below=1)
    share: float = setting(1.0, "up to", 0, most=1)
    heat: float = setting(4.0, "above", above=0)
    band: float = setting(4.0, "above and below", above=1, below=21)
    count: int = setting(3, "whole", 1)
    end: float | None = setting(None, "left out", above=0)
    kind: str = setting("a", "one of", choices=("a", "b"))
    files: tuple[str, ...] = setting((), "texts", items=str)
    units: tuple[int, ...] = setting((8,), "numbers")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate": 1.0}, "rate is 1.0, but must be less than 1 and at least 0"),
        ({"rate": -0.1}, "rate is -0.1, but must be less than 1 and at least 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"share": 1.1}, "share is 1.1, but must lie in 0 to 1"),
        ({"heat": 0.0}, "heat is 0.0, but must be finite and positive"),
        ({"heat": float("inf")}, "heat is inf, but must be finite and positive"),
        ({"band": 1.0}, "band is 1.0, but must be less than 21 and above 1"),
        ({"band": 21.0}, "band is 21.0, but must be less than 21 and above 1"),
        ({"count": 0}, "count is 0, but must be finite and at least 1"),
        ({"count": 2.0}, "count is 2.0, but must be of type int, such as 3"),
        ({"count": True}, "count is True, but must be of type int"),
        ({"end": 0.0}, "end is 0.0, but must be finite and positive"),
        ({"end": "1"}, "end is '1', but must be of type float"),
        ({"kind": "c"}, "kind is 'c', but must be one of a, b"),
        ({"files": (1,)}, r"files is \(1,\), but must be a list of texts"),
        ({"files": ("",)}, r"files is \('',\), but must be a list of texts"),
        ({"units": (0,)}, r"units is \(0,\), but must be a list of whole numbers above 0, such as \(8,\)"),
        ({"units": ("8",)}, r"units is \('8',\), but must be a list of whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        Some(**values)


def test_limits_themselves_are_fine():
    assert Some(rate=0.0, share=0.0, count=1, end=0.1, files=("x",), units=(1, 2)).end == 0.1
    assert Some(share=1.0, band=20.9, end=None) == Some(band=20.9)


def test_a_table_may_hold_whole_numbers_and_lists():
    found = Some.of({"rate": 0, "end": 2, "files": ["x", "y"], "units": [4]}, "here")
    assert (found.rate, found.end, found.files, found.units) == (0.0, 2.0, ("x", "y"), (4,))
    assert isinstance(found.end, float)


def test_an_unknown_name_is_answered_with_the_known():
    with pytest.raises(
        ConfigError, match=r"here: unknown setting 'rat'; did you mean 'rate'\? known are rate=0.5, share"
    ):
        Some.of({"rat": 1}, "here")
    assert listed(Some) == ("rate=0.5, share=1.0, heat=4.0, band=4.0, count=3, end=none, kind=a, files=none, units=8")


NUMBERS = {"rate": 0.25, "heat": 2.5, "count": 7, "end": 0.5}


@pytest.mark.parametrize("real", [np.float64, np.float32, np.float16, np.longdouble, np.array], ids=str)
@pytest.mark.parametrize("whole", [np.int64, np.int32, np.uint8, np.array], ids=str)
def test_numpys_numbers_are_settings(real, whole):
    """As Python's own: float64 would turn an array of float32 into its kind, and JSON cannot write it."""
    given = {name: whole(value) if isinstance(value, int) else real(value) for name, value in NUMBERS.items()}
    found = Some(**given, units=(whole(4), whole(5)), kind=np.str_("b"), files=np.array(["x"]))
    assert found == Some(**NUMBERS, units=(4, 5), kind="b", files=("x",))
    kinds = (float, float, float, float, int, float, str, tuple, tuple)
    assert tuple(type(getattr(found, one.name)) for one in fields(found)) == kinds
    assert [type(unit) for unit in found.units] == [int, int]
    assert type(found.files[0]) is str
    json.dumps(asdict(found))


def test_a_whole_number_is_a_fine_float_and_a_list_or_an_array_a_fine_tuple():
    found = Some(heat=4, rate=np.int64(0), units=[3, 4])
    assert (type(found.heat), type(found.rate), found.units) == (float, float, (3, 4))
    assert Some(units=np.array([3, 4])) == Some(units=(3, 4))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"heat": True}, "heat is True, but must be of type float"),
        ({"heat": np.True_}, "heat is True, but must be of type float"),
        ({"count": np.True_}, "count is True, but must be of type int"),
        ({"count": np.float64(3)}, "count is 3.0, but must be of type int"),
        ({"heat": np.complex64(3)}, r"heat is \(3\+0j\), but must be of type float"),
        ({"heat": np.datetime64("2020")}, "heat is datetime.date.*, but must be of type float"),
        ({"heat": np.array([4.0])}, r"heat is \(4.0,\), but must be of type float"),
        ({"heat": "4"}, "heat is '4', but must be of type float"),
        ({"heat": np.float32("nan")}, "heat is nan, but must be finite"),
        ({"heat": 10**400}, r"heat is 10{59}\.\.\., but must be of type float"),
        ({"heat": 10**5000}, "heat is a number of thousands of digits, but must be of type float"),
        ({"count": 10**5000}, "count is a number of thousands of digits, but must be at most"),
        ({"count": 2**63}, "count is 9223372036854775808, but must be at most 9,223,372,036,854,775,807"),
        ({"units": (2**63,)}, "units is 9223372036854775808, but must be at most"),
        ({"units": (np.True_,)}, r"units is \(True,\), but must be a list of whole numbers"),
        ({"kind": np.bytes_(b"a")}, "kind is b'a', but must be of type str"),
    ],
)
def test_what_only_looks_like_it_is_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        Some(**values)


@dataclass(frozen=True)
class Place(Section):
    data: str = setting("mnist", "a path")
    files: tuple[str, ...] = setting((), "paths", items=str)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (os.fsdecode(b"caf\xe9"), r"caf\\xe9"),
        ("\ud800", r"\\ud800"),
        ("a\0b", r"a\\x00b"),
        ("a\nb", r"a\\nb"),
        ("\x1b[2J", r"\\x1b\[2J"),
        ("\x9b", r"\\x9b"),
    ],
)
def test_a_text_that_no_file_can_hold_is_refused_before_anything_is_written(name, shown):
    with pytest.raises(ConfigError, match=f"data is '/here/{shown}', which has .* bytes .*; rename"):
        Place(data=f"/here/{name}")
    with pytest.raises(ConfigError, match=f"files is '{shown}', which has control characters, or bytes"):
        Place(files=("fine", name))


def test_names_of_every_script_are_fine():
    assert Place(data="/há/猫/שלום/\u200fא").data


def test_a_setting_of_an_old_name_is_taken_and_tells_its_new_name(monkeypatch):
    monkeypatch.setitem(settings.RENAMED, "speed", "rate")
    with pytest.warns(Notice, match="the setting speed is called rate now"):
        assert Some.of({"speed": 0.25}, "r.toml").rate == 0.25
    with pytest.raises(
        ConfigError, match=r"r\.toml: speed and rate are the same setting; leave out speed, its old name"
    ):
        Some.of({"speed": 0.25, "rate": 0.5}, "r.toml")


def test_a_value_of_an_old_name_is_taken_and_tells_its_new_name():
    with pytest.warns(Notice, match="^model seed is called original now"):
        assert Teacher(model="seed").model == "original"
    with pytest.raises(ConfigError, match="model is 'seed', but must be one of mlp, cnn"):
        Student(model="seed")
    assert settings.new_value("teacher.model", "seed") == "original"
    assert settings.new_value("seed", 3) == 3


def test_a_new_name_stands_for_the_last_part_of_a_place(monkeypatch):
    monkeypatch.setitem(settings.RENAMED, "speed", "rate")
    found = [settings.new_name(name) for name in ("speed", "teacher.speed", "speed.rest", "other")]
    assert found == ["rate", "teacher.rate", "speed.rest", "other"]
