"""A cell's outcome comes back from its file, or is refused with the reason."""

import json

import pytest

from minikd.errors import CheckpointError, ConfigError
from minikd.evidence.experiments.cell import read_outcome
from minikd.storage.jsonfiles import write_json
from tests.records import CELL, OUTCOME


@pytest.fixture
def path(tmp_path):
    (tmp_path / "cells").mkdir()
    return tmp_path / "cells" / f"{CELL.key}.json"


def read(path):
    return read_outcome(CELL, path.parents[1])


def test_an_outcome_comes_back_and_none_is_none(path):
    assert read(path) is None
    for outcome in (OUTCOME, {**OUTCOME, "test": None}):
        write_json(path, outcome)
        assert read(path) == outcome


def test_an_outcome_of_an_earlier_version_is_read(path):
    path.write_text(json.dumps(OUTCOME))
    assert read(path) == OUTCOME


def test_an_outcome_of_another_recipe_is_refused(path):
    write_json(path, {**OUTCOME, "recipe": "seed = 3\n"})
    with pytest.raises(ConfigError, match="is of another recipe than teacher has now"):
        read(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "0"}, "Expected `int`, got `str`"),
        ({"test": {}}, "required field"),
        ({"test": {**OUTCOME["test"], "predictions": [0, 1]}}, "do not agree"),
        ({"test": {**OUTCOME["test"], "wrong": [3]}}, "do not agree"),
        ({"test": {**OUTCOME["test"], "wrong": [-1]}}, "do not agree"),
        ({"test": {**OUTCOME["test"], "errors": 2}}, "do not agree"),
        ({"test": {**OUTCOME["test"], "wrong": [1.0]}}, "Expected `int`, got `float`"),
        ({"parts": {"threes": None}}, "Expected `float`, got `null`"),
        ({"validation": None}, "Expected `float`, got `null`"),
        ({"more": 1}, "it holds 'more'"),
    ],
)
def test_what_no_cell_leaves_is_refused(change, words, path):
    write_json(path, {**OUTCOME, **change})
    with pytest.raises(CheckpointError, match=rf"teacher-seed0\.json is broken .*{words}.*; remove it, and the cell"):
        read(path)
