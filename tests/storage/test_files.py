import errno
import os
import stat

import pytest

from minikd.errors import CheckpointError
from minikd.storage.files import write_atomically


def full_disk(*_arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_new_file_holds_the_bytes_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_atomically(path, b"\x00\r\n\xff")
    assert path.read_bytes() == b"\x00\r\n\xff"
    assert os.listdir(tmp_path) == [path.name]


def test_an_old_file_is_replaced_whole(tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(b"a much longer old text")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_the_file_has_the_permissions_of_a_plain_open(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    plain, ours = (stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("plain", "ours"))
    assert ours == plain


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch, call):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"the last good one")
    monkeypatch.setattr(os, call, full_disk)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors.*No space left.*free some space"):
        write_atomically(path, b"half of a new one")
    assert path.read_bytes() == b"the last good one"
    assert os.listdir(tmp_path) == [path.name]


def test_an_interruption_passes_through_and_leaves_no_debris(tmp_path, monkeypatch):
    def interrupt(_descriptor):
        raise KeyboardInterrupt

    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"the last good one")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"the last good one"
    assert os.listdir(tmp_path) == [path.name]


def test_a_missing_folder_is_named_with_its_fix(tmp_path):
    with pytest.raises(CheckpointError, match=r"could not write .*absent.*create the folder"):
        write_atomically(tmp_path / "absent" / "file", b"")


def test_a_folder_in_the_way_is_named_with_its_fix(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(CheckpointError, match="choose"):
        write_atomically(tmp_path / "taken", b"")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="Not a directory"):
        write_atomically(tmp_path / "file" / "results.json", b"")
