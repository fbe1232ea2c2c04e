"""Plain values are held against a declared type, and nothing that could do harm goes through."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pytest

from minikd.storage.schema import DEEPEST, as_type, check_plain, from_json


@dataclass(frozen=True)
class Point:
    x: float
    y: tuple[int, ...]


class Table(TypedDict):
    points: list[Point]
    name: NotRequired[str]


def test_plain_values_become_the_declared_type():
    value = {"points": [{"x": 1, "y": [2, 3]}], "name": "a"}
    assert as_type(value, Table) == {"points": [Point(1.0, (2, 3))], "name": "a"}
    assert as_type({"points": []}, Table) == {"points": []}
    assert isinstance(as_type(3, float), float)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "required field `points`"),
        ({"points": [{"x": 1}]}, "required field `y`"),
        ({"points": [{"x": "1", "y": []}]}, r"Expected `float`, got `str` - at `\$.points\[0\].x`"),
        ({"points": [{"x": 1, "y": [True]}]}, "Expected `int`, got `bool`"),
        ({"points": [{"x": 1, "y": [], "z": 3}]}, "it holds 'z', which does not belong there"),
        ({"points": [], "more": 3}, "it holds 'more', which does not belong there"),
        ({"points": [], "name": None}, "Expected `str`, got `null`"),
        ([], "Expected `object`, got `array`"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(value, words):
    with pytest.raises(ValueError, match=words):
        as_type(value, Table)


def nested(deep):
    value = 1
    for _ in range(deep):
        value = [value]
    return value


def test_values_may_be_nested_so_deep_and_no_deeper():
    check_plain(nested(DEEPEST))
    with pytest.raises(ValueError, match="nested too deeply"):
        check_plain(nested(DEEPEST + 1))


@pytest.mark.parametrize("text", ["[" * 10**5 + "]" * 10**5, '{"a":' * 10**5 + "1" + "}" * 10**5, "9" * 5000, "1e999"])
def test_json_made_to_do_harm_is_refused(text):
    with pytest.raises(ValueError, match=r"nested too deeply|4300 digits|the number inf"):
        from_json(text)


@pytest.mark.parametrize("value", [2**64, -(2**64), float("inf"), float("nan"), 1e301, "a\0", {"a\0": 1}, [[2**70]]])
def test_numbers_and_texts_that_no_file_of_ours_holds_are_refused(value):
    with pytest.raises(ValueError, match="it holds"):
        check_plain(value)


def test_what_python_wrote_for_nan_is_none():
    assert from_json('{"a": NaN, "b": [Infinity, -Infinity]}') == {"a": None, "b": [None, None]}
