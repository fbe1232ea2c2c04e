"""A file that cannot be read is told as what it is, in one line."""

import errno
import os
from pathlib import Path

import pytest

from minikd.distillation.history import read_history
from minikd.distillation.recipe import read_recipe
from minikd.distillation.results import read_results
from minikd.errors import CheckpointError, ConfigError, MinikdError
from minikd.evidence.experiments.cell import read_outcome
from minikd.lessons.library import read_card
from minikd.outside import run_file
from minikd.storage.reading import check_file, excerpt, is_there, read_bytes, read_text
from minikd.storage.tensors import read_tensors
from minikd.training.checkpoints import Length, load_checkpoint
from minikd.weights import load_model
from tests.records import CELL


def test_bytes_and_text_come_back(tmp_path):
    (tmp_path / "file").write_bytes("\ufeffdrei\r\nZeilen é".encode())
    assert read_text(tmp_path / "file", 100, "", ConfigError) == "drei\r\nZeilen é"
    assert read_bytes(tmp_path / "file", 22, "", ConfigError).startswith(b"\xef\xbb\xbf")


def test_a_file_beyond_the_limit_is_refused_and_not_read_to_its_end(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**40)  # a hole of a terabyte, which takes no room
    with pytest.raises(ConfigError, match=r"file is larger than 512 bytes, .*; give another"):
        read_bytes(tmp_path / "file", 512, "give another", ConfigError)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_device_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="/dev/zero is larger than"):
        read_bytes(Path("/dev/zero"), 512, "", ConfigError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_that_nobody_fills_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe is a pipe"):
        read_bytes(tmp_path / "pipe", 512, "", ConfigError)


def test_a_pipe_of_the_shell_is_read():
    reading, writing = os.pipe()
    os.write(writing, b"seed = 3\n")
    os.close(writing)
    if not Path(f"/dev/fd/{reading}").exists():
        pytest.skip("this system has no /dev/fd")
    assert read_recipe(Path(f"/dev/fd/{reading}")).seed == 3
    os.close(reading)


def load_state(path):
    return load_checkpoint(path, {}, "", Length(1, 1, 1))


READERS = {
    "model.safetensors": (load_model, read_tensors),
    "student.checkpoint": (load_state,),
    "results.json": (lambda path: read_results(path.parent),),
    "history.csv": (read_history,),
    "config.toml": (read_recipe,),
    "01_lesson.py": (run_file, read_card),
    f"cells/{CELL.key}.json": (lambda path: read_outcome(CELL, path.parents[1]),),
}
EACH = [(name, read) for name, readers in READERS.items() for read in readers]


@pytest.fixture(params=EACH, ids=[f"{name}-{read.__name__}" for name, read in EACH])
def file(request, tmp_path):
    """A file's path and what reads it; nothing is there yet but its folder."""
    name, read = request.param
    (tmp_path / name).parent.mkdir(exist_ok=True)
    return tmp_path / name, read


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, r"cannot be read: permission denied; allow it \(chmod u\+r"),
        (errno.EPERM, "cannot be read: permission denied"),
        (errno.EIO, f"cannot be read: {os.strerror(errno.EIO)}"),
    ],
)
def test_what_the_system_refuses_is_no_damage(number, words, file, monkeypatch):
    path, read = file
    path.write_bytes(b"x")

    def refuse(self, *_arguments, **_named):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MinikdError, match=words) as refusal:
        read(path)
    assert "broken" not in str(refusal.value)
    assert "damaged" not in str(refusal.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told_as_that(file):
    path, read = file
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(MinikdError, match="cannot be read: permission denied"):
        read(path)


def test_a_folder_is_told_as_a_folder(file):
    path, read = file
    path.mkdir()
    with pytest.raises(MinikdError, match="is a folder; "):
        read(path)


def test_a_loop_of_links_is_told_as_that(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(CheckpointError, match=r"cannot be read: .*symbolic links"):
        check_file(tmp_path / "a", "", CheckpointError)


def test_a_part_of_the_path_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="give a path without a part that is a file"):
        read_bytes(tmp_path / "file" / "results.json", 10, "", CheckpointError)
    assert not is_there(tmp_path / "file" / "results.json", CheckpointError)


def test_a_text_of_unknown_origin_is_one_line_that_a_terminal_prints_as_it_is():
    assert excerpt("zéro 🦉") == "zéro 🦉"
    assert excerpt("a\n\x1b[31m\ud800\x00") == "a\\n\\x1b[31m\\ud800\\x00"
    assert len(excerpt("x" * 10**6)) < 600
