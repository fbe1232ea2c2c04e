"""results.json comes back as it was written, or is refused with its place."""

import copy
import json

import pytest

from minikd.distillation.results import read_results, write_results
from minikd.errors import CheckpointError
from tests.records import RESULTS

BEGUN = {name: value for name, value in RESULTS.items() if name in ("name", "dataset", "teacher", "seed", "stages")}
BEGUN |= {name: RESULTS[name] for name in ("backend", "backend_reason", "machine", "versions")}


def write(folder, table):
    (folder / "results.json").write_text(json.dumps(table))


@pytest.mark.parametrize("results", [RESULTS, BEGUN], ids=["a whole run", "a trained teacher"])
def test_results_come_back(results, tmp_path):
    write_results(tmp_path, results)
    assert read_results(tmp_path) == results
    assert json.loads((tmp_path / "results.json").read_text()).keys() == {*results, "sha256"}


def test_there_are_none_without_a_file(tmp_path):
    assert read_results(tmp_path) == {}


def test_a_file_of_an_earlier_version_and_one_that_is_set_otherwise_are_read(tmp_path):
    write(tmp_path, RESULTS)
    assert read_results(tmp_path) == RESULTS
    write_results(tmp_path, RESULTS)
    whole = json.loads((tmp_path / "results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps(whole, sort_keys=True, separators=(",", ":")))
    assert read_results(tmp_path) == RESULTS


def test_nan_is_never_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"could not write .*results\.json: it would hold NaN"):
        write_results(tmp_path, {**RESULTS, "seconds": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_changed_number_is_missed(tmp_path):
    write_results(tmp_path, RESULTS)
    path = tmp_path / "results.json"
    path.write_text(path.read_text().replace('"errors": 4', '"errors": 5', 1))
    with pytest.raises(
        CheckpointError, match=r"results\.json is broken \(its checksum is wrong\); remove it, and --resume"
    ):
        read_results(tmp_path)


def changed(place, value):
    """The results with another value at a place such as "teacher.errors"; without it where the value is KeyError."""
    table = copy.deepcopy(RESULTS)
    *above, name = place.split(".")
    inner = table
    for key in above:
        inner = inner[key]
    inner[name] = value
    if value is KeyError:
        del inner[name]
    return table


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("teacher", KeyError, "required field `teacher`"),
        ("teacher.errors", KeyError, "required field `errors`"),
        ("teacher.errors", None, "Expected `int`, got `null`"),
        ("teacher.errors", 1.5, "Expected `int`, got `float`"),
        ("teacher.errors", -1, "errors is -1"),
        ("teacher.errors", True, "Expected `int`, got `bool`"),
        ("teacher.nll", "0.3", "Expected `float`, got `str`"),
        ("teacher.accuracy", 1.5, "accuracy is 1.5"),
        ("teacher.nll", float("nan"), "Expected `float`, got `null`"),
        ("teacher", [], "Expected `object`, got `array`"),
        ("student_distilled", None, "Expected `object`, got `null`"),
        ("student_distilled.agreement", KeyError, "required field `agreement`"),
        ("dataset.image_shape", ["1"], "Expected `int`, got `str`"),
        ("mcnemar_p", 2, "mcnemar_p is 2"),
        ("seed", 10**40, "a whole number of 133 bits"),
        ("name", "a\0b", "a NUL in it"),
        ("versions", {"numpy": 2}, "Expected `str`, got `int`"),
        ("sha257", "0" * 64, "it holds 'sha257', which does not belong there"),
        ("teacher.lies", 1, "it holds 'lies', which does not belong there"),
    ],
)
def test_what_no_run_writes_is_refused_with_its_place(place, value, words, tmp_path):
    write(tmp_path, changed(place, value))
    with pytest.raises(CheckpointError, match=words):
        read_results(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        '"results"',
        "[" * 10**5,
        '{"a":' * 10**5,
        "9" * 10**4,
        "1e999",
        "\ufeff{}",
        "NaN",
        "{}",
    ],
    ids=lambda text: text[:8],
)
def test_what_holds_no_results_is_refused(text, tmp_path):
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"results\.json is broken .*remove it"):
        read_results(tmp_path)
