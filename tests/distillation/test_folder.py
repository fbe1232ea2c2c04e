"""A run's folder appears whole, has one user at a time, lets nothing lead out of it, and is no trace of a vain run."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from minikd.distillation import folder as module
from minikd.distillation.folder import LOCK, RunFolder, check_begun, lock_folder, locked, release
from minikd.errors import ConfigError

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, time
from pathlib import Path
from minikd.distillation.folder import RunFolder
place = RunFolder(Path(sys.argv[1]))
place.claim("a = 1")
print("held", flush=True)
time.sleep(60)
"""


def claimed(path, **how):
    place = RunFolder(path, **how)
    place.claim("a = 1\n")
    return place


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder "run"."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, cwd=ROOT) as one:
        assert one.stdout.readline() == b"held\n"
        yield one
        one.kill()


def test_folder_and_configuration_appear_together(tmp_path, monkeypatch):
    seen = []
    for name in ("mkdir", "replace", "rename", "fsync"):
        real = getattr(os, name)

        def call(*arguments, real=real, **settings):
            found = real(*arguments, **settings)
            run = tmp_path / "runs" / "x"
            seen.append(run.exists() and (run / "config.toml").read_text())
            return found

        monkeypatch.setattr(os, name, call)
    claimed(tmp_path / "runs" / "x")
    assert set(seen) == {False, "a = 1\n"}
    assert os.listdir(tmp_path / "runs") == ["x"]


def test_of_many_that_want_one_name_one_gets_it(tmp_path):
    start, got, refused = threading.Barrier(8), [], []

    def want():
        start.wait()
        try:
            got.append(claimed(tmp_path / "x", new=True))
        except ConfigError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert all("x exists already; go on with it by --resume" in text for text in refused)
    assert os.listdir(tmp_path) == ["x"]


def test_a_default_name_gets_a_number_until_nobody_has_it(tmp_path):
    places = [claimed(tmp_path / "x", numbered=True) for _ in range(4)]
    assert [place.path.name for place in places] == ["x", "x-2", "x-3", "x-4"]


@pytest.mark.parametrize("how", ["file", "empty folder", "link to nowhere", "run"])
def test_whatever_has_the_name_already_stays(how, tmp_path):
    path = tmp_path / "a b"
    if how == "file":
        path.write_text("mine")
    elif how == "link to nowhere":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.mkdir()
    if how == "run":
        (path / "config.toml").write_text("mine")
    with pytest.raises(ConfigError, match="--resume '.*a b'" if how == "run" else "holds no run; choose another name"):
        claimed(path, new=True)
    assert os.listdir(tmp_path) == ["a b"]
    assert claimed(path, numbered=True).path.name == "a b-2"


def test_a_folder_in_use_is_refused_with_who_uses_it_and_free_after(holder, tmp_path):
    with pytest.raises(ConfigError, match=f"run is in use by process {holder.pid}; wait until it ends, stop it"):
        claimed(tmp_path / "run")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    claimed(tmp_path / "run")


def test_it_is_refused_within_one_process_too(tmp_path):
    place = claimed(tmp_path / "run")
    with pytest.raises(ConfigError, match="in use by this process"):
        claimed(tmp_path / "run")
    place.release()
    claimed(tmp_path / "run").release()


def test_patience_waits_for_the_end_of_the_other(tmp_path):
    place = claimed(tmp_path / "run")
    threading.Timer(0.3, place.release).start()
    begin = time.monotonic()
    claimed(tmp_path / "run", patience=20.0)
    assert 0.2 < time.monotonic() - begin < 15


@pytest.mark.parametrize("name", ["figures", "report.html", "teacher.checkpoint", "cells", LOCK])
def test_a_link_that_leads_out_is_refused_and_not_written_through(name, tmp_path):
    claimed(tmp_path / "run").release()
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "run" / name).unlink(missing_ok=True)
    (tmp_path / "run" / name).symlink_to(outside)
    with pytest.raises(ConfigError, match=f"{name} is a link to .*outside.*remove the link"):
        claimed(tmp_path / "run")
    assert outside.read_text() == "mine"


def test_a_link_within_the_folder_and_a_link_to_the_folder_are_fine(tmp_path):
    claimed(tmp_path / "run").release()
    (tmp_path / "run" / "first.toml").symlink_to("config.toml")
    (tmp_path / "newest").symlink_to("run")
    place = claimed(tmp_path / "newest")
    assert (place.path / "config.toml").read_text() == (tmp_path / "run" / "first.toml").read_text()


def test_what_is_no_run_is_not_gone_on_with(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("")
    for name, why in {"file": "is a file", "photos": "has no config.toml", "absent": "is not there"}.items():
        with pytest.raises(ConfigError, match=f"{name} {why}.*give the folder of a run"):
            check_begun(tmp_path / name)
    with pytest.raises(ConfigError, match=r"has no config\.toml"):
        claimed(tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["cat.png"]


def test_an_empty_folder_that_a_program_names_is_taken(tmp_path):
    """Such as an earlier version left when it was killed at its begin."""
    (tmp_path / ".config.toml.0123abcd.tmp").write_text("half")
    claimed(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [LOCK, "config.toml"]


def test_a_vain_run_leaves_its_name_free(tmp_path):
    place = claimed(tmp_path / "run")
    (tmp_path / "run" / "history.csv").write_text("")
    place.release(failed=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["teacher.safetensors", "teacher.checkpoint", "notes of mine.txt"])
def test_a_run_that_has_finished_something_stays(name, tmp_path):
    place = claimed(tmp_path / "run")
    (tmp_path / "run" / name).write_text("")
    place.release(failed=True)
    assert (tmp_path / "run" / "config.toml").exists()


def test_a_run_that_was_there_before_stays(tmp_path):
    claimed(tmp_path / "run").release()
    claimed(tmp_path / "run").release(failed=True)
    assert (tmp_path / "run" / "config.toml").exists()


def test_what_the_killed_have_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "YOUNG", -1.0)
    living, dead, mine = (tmp_path / f".{name}.tmp" for name in ("a.00000000", "b.11111111", "c.22222222"))
    for path in (living, dead, mine):
        path.mkdir()
        (path / "config.toml").write_text("")
    (mine / "photo.png").write_text("")
    lock = lock_folder(living)
    place = claimed(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, mine.name, "run"]
    place.release()
    release(lock)
    (tmp_path / "run" / "figures").mkdir()
    for path in (tmp_path / "run", tmp_path / "run" / "figures"):
        (path / ".x.png.0123abcd.tmp").write_text("half")
        (path / ".x.png.mine.tmp").write_text("mine")
    claimed(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").rglob("*.tmp")] == [".x.png.mine.tmp"] * 2


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(ConfigError, match=r"x cannot be created \(No space left on device\); choose another folder"):
        claimed(tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        claimed(tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_any_folder_can_be_held(tmp_path):
    with locked(tmp_path), pytest.raises(ConfigError, match="in use by this process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
