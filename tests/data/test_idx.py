import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minikd.data.idx import read_idx
from minikd.errors import DataError
from tests.data.makers import idx_bytes, write_idx

SHAPES = npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)


@settings(deadline=None)
@given(array=npst.arrays(np.uint8, SHAPES), suffix=st.sampled_from(["", ".gz"]))
def test_what_is_written_is_read(tmp_path_factory, array, suffix):
    path = write_idx(tmp_path_factory.mktemp("idx") / f"array{suffix}", array)
    read = read_idx(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_gzip_is_told_by_its_bytes_not_by_the_name(tmp_path):
    path = tmp_path / "plain-name"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(6, dtype=np.uint8))))
    np.testing.assert_array_equal(read_idx(path), np.arange(6))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"\x89PNG....", "not an IDX file: it starts with 89 50 4e 47.*download it again"),
        (b"\0\0\x07\x01\0\0\0\0", "not an IDX file"),
        (b"\0\0\x08\0", "not an IDX file"),
        (idx_bytes(np.zeros(2, np.uint8), code=0x0D), r"float32 \(dtype code 0x0d\), but only uint8 \(0x08\)"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:9], "truncated within its header: 9 of 12 bytes"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:-2], r"truncated: 4 of 6 bytes for shape \(2, 3\)"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:-1], "truncated: 5 of 6 bytes"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"x", r"trailing bytes after the 6 of shape \(2, 3\)"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"xyz", r"trailing bytes after the 6 of shape \(2, 3\)"),
    ],
)
def test_refuses_what_is_not_whole(tmp_path, content, message):
    path = tmp_path / "bad-idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"bad-idx.*{message}"):
        read_idx(path)


@pytest.mark.parametrize("damage", ["truncate", "flip a byte", "no header"])
def test_refuses_a_damaged_gzip(tmp_path, damage):
    data = bytearray(gzip.compress(idx_bytes(np.arange(256, dtype=np.uint8))))
    if damage == "truncate":
        data = data[:-20]
    elif damage == "flip a byte":
        data[len(data) // 2] ^= 0xFF
    else:
        data = data[:2]
    path = tmp_path / "bad.gz"
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"bad\.gz is a corrupt or truncated gzip file .*download it again"):
        read_idx(path)


def test_says_which_file_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="gone-idx cannot be read: No such file"):
        read_idx(tmp_path / "gone-idx")
