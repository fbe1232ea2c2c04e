"""JSON files carry a checksum of what they hold."""

import json

import pytest

from minikd.errors import CheckpointError
from minikd.storage.jsonfiles import KEY, LIMIT, read_json, read_table, write_json

TABLE = {"a": 0.1, "ä": [1, None, "🦉"], "b": {"c": True, "d": (1.0, -0.0)}}
PLAIN = {"a": 0.1, "ä": [1, None, "🦉"], "b": {"c": True, "d": [1.0, -0.0]}}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_table_comes_back(indent, tmp_path):
    write_json(tmp_path / "file.json", TABLE, indent)
    assert read_json(tmp_path / "file.json", "") == PLAIN
    assert json.loads((tmp_path / "file.json").read_text()).keys() == {*TABLE, KEY}


def test_the_same_table_is_the_same_file(tmp_path):
    for name, table in (("one", TABLE), ("two", dict(reversed(TABLE.items())))):
        write_json(tmp_path / name, table)
    one, two = (json.loads((tmp_path / name).read_text())[KEY] for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("old", "new"), [("0.1", "0.2"), ("true", "1"), ("null", "0"), ("-0.0", "0.0"), ("1.0", "1"), ('"a"', '"A"')]
)
def test_every_change_of_what_it_holds_is_missed(old, new, tmp_path):
    write_json(tmp_path / "file.json", TABLE)
    text = (tmp_path / "file.json").read_text()
    assert old in text
    (tmp_path / "file.json").write_text(text.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=r"file\.json is broken \(its checksum is wrong\); the fix"):
        read_json(tmp_path / "file.json", "the fix")


@pytest.mark.parametrize("checksum", [None, 3, "", "0" * 64, ["0" * 64]])
def test_a_checksum_that_is_none_is_a_wrong_one(checksum, tmp_path):
    (tmp_path / "file.json").write_text(json.dumps({**PLAIN, KEY: checksum}))
    with pytest.raises(CheckpointError, match="its checksum is wrong"):
        read_json(tmp_path / "file.json", "")


def test_a_file_without_a_checksum_is_read_and_none_is_none(tmp_path):
    assert read_json(tmp_path / "file.json", "") is None
    assert read_table(tmp_path / "file.json", dict[str, int], "") is None
    (tmp_path / "file.json").write_text('{"a": 1}')
    assert read_table(tmp_path / "file.json", dict[str, int], "") == {"a": 1}
    with pytest.raises(CheckpointError, match="Expected `str`, got `int`"):
        read_table(tmp_path / "file.json", dict[str, str], "")


def test_a_file_beyond_the_limit_is_refused(tmp_path):
    (tmp_path / "file.json").write_bytes(b" " * (LIMIT + 1))
    with pytest.raises(CheckpointError, match=r"larger than 33\.6 MB"):
        read_json(tmp_path / "file.json", "")
