"""safetensors files: the same bytes for the same arrays, a checksum in each, others' files without one."""

import json
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minikd.errors import CheckpointError, SizeError
from minikd.storage.tensors import (
    CHECKSUM,
    DTYPES,
    HEADER,
    STAGE,
    has_checksum,
    map_images,
    read_tensors,
    write_tensors,
)

ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(3), "none": np.zeros((0, 4))}


@pytest.fixture
def path(tmp_path):
    write_tensors(tmp_path / "some.safetensors", ARRAYS, {"minikd": "{}", STAGE: "a digest"})
    return tmp_path / "some.safetensors"


def same(found, wanted):
    return found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_other_programs_read_the_file(path):
    assert same(load_file(path), ARRAYS)


def test_its_arrays_lie_where_their_numbers_can_be_read_as_they_are(path):
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    assert length % 8 == 0


WRITES = """
import sys
from pathlib import Path
from minikd.storage.tensors import write_tensors
from tests.storage.test_tensors import ARRAYS
write_tensors(Path(sys.argv[1]), ARRAYS, {"minikd": "{}", "minikd-stage": "a digest", "é": "\\n"})
"""


def test_the_same_arrays_are_the_same_bytes_in_every_process(tmp_path):
    for name in "abc":
        subprocess.run([sys.executable, "-c", WRITES, str(tmp_path / name)], check=True)
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


def test_files_of_others_have_no_checksum_and_keep_their_metadata(tmp_path):
    save_file(ARRAYS, tmp_path / "theirs.safetensors", {"format": "pt", "sha256": "of something else"})
    found, metadata = read_tensors(tmp_path / "theirs.safetensors")
    assert same(found, ARRAYS)
    assert metadata == {"format": "pt", "sha256": "of something else"}
    assert not has_checksum(tmp_path / "theirs.safetensors")


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    save_file(ARRAYS, tmp_path / "old.safetensors", {"minikd": "{}"})
    assert same(read_tensors(tmp_path / "old.safetensors")[0], ARRAYS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a digest", b"a Digest"),
        (b'"minikd"', b'"minike"'),
        (b'"weight"', b'"Weight"'),
        (b'"F32"', b'"I32"'),
        (b"[2,3]", b"[3,2]"),
        (np.float32(5).tobytes(), np.float32(5.5).tobytes()),
        (b"sha256", b"sha257"),
    ],
)
def test_every_change_of_what_it_holds_is_missed(old, new, path):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=r"some\.safetensors is damaged: .*; train again, or take a copy"):
        read_tensors(path)


def header(path, tensors, data=b""):
    """Write a safetensors file by hand."""
    text = json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2", "C64"])
def test_numbers_that_numpy_has_not_are_refused_by_name(dtype, tmp_path):
    size = {"BF16": 2, "C64": 8}.get(dtype, 1)
    header(tmp_path / "w", {"w": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}, bytes(size))
    assert dtype not in DTYPES
    with pytest.raises(CheckpointError, match=rf"w holds {dtype}, which NumPy does not have; convert it to F32 first"):
        read_tensors(tmp_path / "w")


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}},
        {"w": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]}},
        {"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}},
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"w": {"dtype": "F32", "shape": None, "data_offsets": [0, 4]}},
        {"__metadata__": {"minikd": 3}},
        {"w\n\x1b[31m": 3},
        [],
        None,
    ],
)
def test_headers_made_to_do_harm_are_refused_in_a_line(tensors, tmp_path):
    header(tmp_path / "w", tensors)
    with pytest.raises(CheckpointError, match="is broken or not a safetensors file") as refusal:
        read_tensors(tmp_path / "w")
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("length", [2**63, 2**40, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(length, tmp_path):
    (tmp_path / "w").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(CheckpointError, match="is broken or not a safetensors file"):
        read_tensors(tmp_path / "w")


def test_a_header_of_a_million_names_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "w").write_bytes(struct.pack("<Q", HEADER + 8) + b" " * (HEADER + 8) + b"{}")
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match=r"w has a header of 25\.2 MB, but at most 25\.2 MB are read"):
        read_tensors(tmp_path / "w")
    assert time.monotonic() - begin < 5


def test_a_file_larger_than_the_memory_is_refused(path, monkeypatch):
    monkeypatch.setattr("minikd.memory.ASKED_FROM", 0)
    monkeypatch.setattr("minikd.memory.available", lambda: 10)
    with pytest.raises(SizeError, match=r"some\.safetensors would take .* of memory"):
        read_tensors(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_mapped_and_checked(dtype, tmp_path):
    images, path = np.arange(24).astype(dtype).reshape(2, 1, 3, 4), tmp_path / "images.safetensors"
    write_tensors(path, {"images": images}, {"minikd-editions": "some"})
    found, metadata = map_images(path, "")
    np.testing.assert_array_equal(found, images)
    assert (found.dtype, metadata) == (dtype, {"minikd-editions": "some"})
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckpointError, match="its checksum is wrong; make it anew"):
        map_images(path, "make it anew")


def test_a_file_of_more_arrays_is_not_one_of_images(path):
    with pytest.raises(CheckpointError, match="holds 3 arrays, but must hold one"):
        map_images(path, "")


def test_the_checksum_is_not_among_the_metadata(path):
    assert CHECKSUM not in read_tensors(path)[1]
    assert has_checksum(path)
