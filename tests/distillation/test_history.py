"""history.csv comes back as it was written, is a table for others, and misses what is missing."""

import math

import pytest

from minikd.distillation.history import CHECKSUM, read_history, write_history
from minikd.errors import CheckpointError
from minikd.training.checkpoints import COLUMNS
from tests.records import row

ROWS = [row("teacher", 1), row("teacher", 2), row("student_baseline", 1)]


@pytest.fixture
def path(tmp_path):
    write_history(tmp_path / "history.csv", ROWS)
    return tmp_path / "history.csv"


def test_rows_come_back(path):
    assert repr(read_history(path)) == repr(ROWS)


def test_no_file_has_no_rows(tmp_path):
    assert read_history(tmp_path / "history.csv") == []


@pytest.mark.parametrize("keep", [1, 40, -1, -5])
def test_a_file_that_is_cut_off_is_refused_after_the_names_too(keep, path):
    text = path.read_text()
    names = text.index("\n") + 1
    for cut in (text[:keep], text[:names], text[: names - 1]):
        path.write_text(cut)
        with pytest.raises(CheckpointError, match=r"is broken \(it is cut off|has columns|is broken \(line"):
            read_history(path)


def test_it_is_a_table_of_numbers_with_the_checksum_last(path):
    names, *lines = [line.split(",") for line in path.read_text().splitlines()]
    assert names == [*COLUMNS, CHECKSUM]
    assert all(cell.isdecimal() for cell in (line[-1] for line in lines))  # no 1e23, which a table's reader takes apart


def test_an_infinite_number_is_written_as_none(tmp_path):
    write_history(tmp_path / "history.csv", [row("teacher", 1) | {"hard_gradient": math.inf}])
    assert math.isnan(read_history(tmp_path / "history.csv")[0]["hard_gradient"])


def without_checksums(path):
    """What an earlier version has written."""
    return [line.rpartition(",")[0] for line in path.read_text().splitlines()]


def test_a_file_without_checksums_is_read(path):
    path.write_text("\n".join([*without_checksums(path), ""]))
    assert repr(read_history(path)) == repr(ROWS)


EARLIER = """\
model,epoch,loss,accuracy,nll,evaluated_on,learning_rate,images_per_second,seconds,\
hard_loss,hard_gradient,soft_loss,soft_gradient,feature_loss,feature_gradient,cosine,crc32
teacher,1,1.1,0.5,0.75,test,0.001,1234.5,0.25,1.5,0.2,nan,nan,nan,nan,nan,4148564578
teacher,2,2.1,0.5,0.75,test,0.001,1234.5,0.25,1.5,0.2,nan,nan,nan,nan,nan,3315383042
student_baseline,1,1.1,0.5,0.75,test,0.001,1234.5,0.25,1.5,0.2,nan,nan,nan,nan,nan,2305368026
"""
"""What minikd wrote before a row said how its steps were taken."""


@pytest.mark.parametrize("checksums", [True, False])
def test_a_file_of_an_earlier_version_is_read_and_goes_on(checksums, path):
    path.write_text(EARLIER)
    if not checksums:
        path.write_text("\n".join([*without_checksums(path), ""]))
    rows = read_history(path)
    assert repr(rows) == repr([one | {"steps": ""} for one in ROWS])
    write_history(path, [*rows, row("student_baseline", 2)])
    assert [one["steps"] for one in read_history(path)] == ["", "", "", "host"]


@pytest.mark.parametrize(
    ("old", "new"), [("teacher,2", "teacher,3"), ("crc32", "steps,crc32"), ("cosine,crc32", "steps,crc32")]
)
def test_a_damaged_file_of_an_earlier_version_is_refused(old, new, path):
    path.write_text(EARLIER.replace(old, new))
    with pytest.raises(CheckpointError, match="remove the file"):
        read_history(path)


def test_other_ends_of_lines_and_a_byte_order_mark_change_nothing(path):
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert repr(read_history(path)) == repr(ROWS)


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_missing_line_is_missed_the_last_too(line, path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:line] + lines[line + 1 :]))
    with pytest.raises(
        CheckpointError, match=r"does not agree with its checksum, or a line is missing.*remove the file"
    ):
        read_history(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"0.75", b"0.74", "line 2 does not agree with its checksum"),
        (b"0.75", b"\xff\xfe", "is not text in UTF-8"),
        (b"0.75", b"\0", "line 2 does not agree"),
        (b"0.75", b"9" * 200_000, "line 2 does not agree"),
        (b"epoch", b"epooch", "has columns"),
        (b"test", b"t,est", "line 2 has 19 cells, not 18"),
        (b"host", b"hust", "line 2 does not agree"),
    ],
)
def test_damage_is_told_with_its_line(old, new, words, path):
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(CheckpointError, match=words) as refusal:
        read_history(path)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 2000


@pytest.mark.parametrize(
    ("cell", "value", "words"),
    [
        ("loss", "nan", "line 2: loss is nan"),
        ("loss", "inf", "line 2: loss is inf"),
        ("accuracy", "-inf", "line 2: accuracy is -inf"),
        ("seconds", "nan", "line 2: seconds is nan"),
        ("seconds", "-1", "line 2: seconds is -1.0"),
        ("nll", "", "line 2: could not convert"),
        ("epoch", "1.0", "line 2: invalid literal"),
        ("epoch", "2", "after epoch 0 of 'teacher' comes epoch 2"),
        ("epoch", "9" * 5000, "line 2: .*4300 digits"),
        ("steps", "hust", "line 2: steps is 'hust', but must be one of graph, eager, host"),
    ],
)
def test_numbers_that_no_epoch_has_are_refused_without_a_checksum_too(cell, value, words, path):
    names, first, *rest = without_checksums(path)
    cells = dict(zip(names.split(","), first.split(","), strict=True)) | {cell: value}
    path.write_text("\n".join([names, ",".join(cells.values()), *rest, ""]))
    with pytest.raises(CheckpointError, match=words):
        read_history(path)
