"""Every command on terminals of other encodings, and with standard output and error that are closed, full or gone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.makers import C_LOCALE, QUICK, write_data

pytestmark = pytest.mark.numpy_only("what is printed does not depend on the device, and commands are processes")

ENCODINGS = ("ascii", "latin-1", "cp1252", "cp437")

LAYER = """
class Double:
    \"\"\"Says × and → in what it raises.\"\"\"

    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, cache):
        raise ValueError("dy × 2 → α is to do")
"""


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory, finished, data):
    """A folder with what the commands below read, and a run."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "done").symlink_to(finished)
    (folder / "data.npz").symlink_to(data)
    (folder / "lessons").symlink_to(ROOT / "lessons")  # an installed package has none
    Image.fromarray(np.zeros((12, 10), np.uint8)).save(folder / "é→.png")
    (folder / "layer.py").write_text(LAYER, encoding="utf-8")
    return folder


def minikd(files, *arguments, env=None, **streams):
    """Run a command, and return how it ended, with bytes for what it printed."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    environment = {**os.environ, "COLUMNS": "80", **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "minikd", *map(str, arguments)], cwd=files, env=environment, timeout=120, **streams
    )


COMMANDS = {
    "help": (0, "--help"),
    "flags": (0, "distill", "--help"),
    "none": (2, "trian→"),
    "distill": (0, "distill", "--data", "data.npz", "--runs", "{runs}", *QUICK),
    "finished": (0, "distill", "--resume", "done"),
    "train": (0, "train", "--data", "data.npz", "--runs", "{runs}", *QUICK),
    "methods": (0, "methods", "--data", "data.npz"),
    "evaluate": (0, "evaluate", "done/teacher.safetensors", "--data", "data.npz"),
    "predict": (0, "predict", "é→.png", "--run", "done"),
    "refused": (2, "predict", "ü→.png", "--run", "done"),
    "gradcheck": (0, "gradcheck"),
    "learner": (1, "gradcheck", "layer.py:Double", "--shape", "2,3"),
    "info": (0, "info"),
    "bench": (0, "bench", "--quick", "--only", "size"),
    "experiments": (0, "experiment"),
    "experiment": (
        0,
        "experiment",
        "temperature",
        "--preset",
        "tiny",
        "--seeds",
        "1",
        "--jobs",
        "1",
        "--folder",
        "{runs}",
    ),
    "pitfalls": (0, "pitfalls"),
    "pitfall": (0, "pitfalls", "wrong-axis", "no-t-squared"),
    "lessons": (0, "lessons"),
    "exercises": (0, "check"),
    "exercise": (1, "check", "04"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_all_of_it_in_ascii(name, files, tmp_path):
    status, *arguments = COMMANDS[name]
    given = [one.replace("{runs}", str(tmp_path)) for one in arguments]
    ended = minikd(files, *given, env=C_LOCALE)
    assert ended.returncode == status, ended.stderr
    (ended.stdout + ended.stderr).decode("ascii")
    assert b"Traceback" not in ended.stderr
    assert ended.stdout.strip() or status == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_stands_in_its_columns_in_every_encoding(encoding, files):
    there = {"PYTHONIOENCODING": encoding}
    want = minikd(files, *COMMANDS["finished"][1:], env={"PYTHONIOENCODING": "utf-8"}).stdout.decode("utf-8")
    got = minikd(files, *COMMANDS["finished"][1:], env=there).stdout.decode(encoding)
    assert [len(line) for line in got.splitlines()] == [len(line) for line in want.splitlines()]
    assert "-" * 50 in got or "─" * 50 in got


def test_without_a_locale_a_table_is_whole(files):
    ended = minikd(files, *COMMANDS["finished"][1:], env=C_LOCALE)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"-" * 50 in ended.stdout
    ended.stdout.decode("ascii")


def test_json_is_the_same_in_every_encoding(files):
    said = {
        minikd(files, "predict", "é→.png", "--run", "done", "--json", env={"PYTHONIOENCODING": encoding}).stdout
        for encoding in (*ENCODINGS, "utf-8")
    }
    assert len(said) == 1
    assert json.loads(said.pop())[0]["image"] == "é→.png"


LEFT = ("results.json", "report.html", "history.csv", "student_distilled.safetensors", "figures/disagreements.svg")


def shell(files, line, *arguments):
    """Run a command by a line of the shell in which it is "$@", and return how that ended."""
    command = ["bash", "-c", f"set -o pipefail; {line}", "bash", sys.executable, "-m", "minikd"]
    return subprocess.run([*command, *map(str, arguments)], cwd=files, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ('"$@" >&-', 0),
        ('"$@" 2>&-', 0),
        ('"$@" <&- >&- 2>&-', 0),
        ('"$@" 2>/dev/full', 0),
        ('"$@" >/dev/full', 2),
        ('"$@" >/dev/full 2>/dev/full', 2),
        ('"$@" 2>&1 | head -c 1 >/dev/null', 0),
        ('"$@" 2>&1 | true', 0),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_run_is_not_lost_with_its_streams(line, status, files, tmp_path, data):
    ended = shell(files, line, "distill", "--data", data, "--runs", tmp_path, "--name", "run", *QUICK)
    assert ended.returncode == status, ended.stderr
    assert b"Traceback" not in ended.stdout + ended.stderr
    assert b"Exception ignored" not in ended.stderr
    assert all((tmp_path / "run" / name).stat().st_size for name in LEFT)
    assert json.loads((tmp_path / "run" / "results.json").read_text())["student_distilled"]["errors"] >= 0


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("info",), ("methods",), ("info", "--json"), ("pitfalls",)]
)
def test_what_cannot_be_printed_is_told_by_the_status_and_a_reader_that_goes_is_no_error(arguments, files):
    full = shell(files, '"$@" >/dev/full', *arguments)
    assert full.returncode == 2
    assert full.stderr.startswith(b"minikd: error: [Errno 28] No space left on device: standard output")
    assert full.stderr.count(b"\n") == 1
    gone = shell(files, '"$@" | true', *arguments)
    assert (gone.returncode, gone.stderr) == (0, b"")


def test_an_experiment_is_not_lost_with_its_streams(files, tmp_path):
    flags = ("--preset", "tiny", "--seeds", "1", "--jobs", "2", "--folder", tmp_path)
    ended = shell(files, '"$@" >&- 2>&-', "experiment", "temperature", *flags)
    assert ended.returncode == 0
    assert {"results.json", "figure.png"} <= {path.name for path in tmp_path.iterdir()}


def test_names_cannot_write_to_the_terminal(files, tmp_path):
    """Neither those of files, nor of classes, nor what is wrong with them."""
    evil = "\x1b[2J\x1b]0;owned\x07\r\u202etxt"
    write_named(tmp_path / "data.npz", evil)
    image, run = tmp_path / f"{evil}.png", tmp_path / evil
    Image.fromarray(np.zeros((12, 10), np.uint8)).save(image)
    commands = (
        ("distill", "--data", tmp_path / "data.npz", "--runs", tmp_path, "--name", evil, *QUICK),
        ("predict", image, "--run", tmp_path / "run"),
        ("predict", image, "--run", run),
        ("evaluate", f"{run}/teacher.safetensors", "--data", tmp_path / "data.npz"),
        ("evaluate", tmp_path / "run" / "teacher.safetensors", "--data", files / "data.npz"),
        ("evaluate", "--data", f"{evil}"),
        ("gradcheck", f"{evil}.py:Layer"),
        ("check", evil),
        (evil,),
        ("distill", "--data", "data.npz", f"--{evil}"),
        ("bench", "--only", evil),
        ("experiment", evil),
        ("pitfalls", evil),
        ("methods", evil, "--data", "data.npz"),
    )
    run_on_other_names = ("distill", "--data", files / "data.npz", "--runs", tmp_path, "--name", "run", *QUICK)
    assert minikd(files, *run_on_other_names).returncode == 0
    for arguments in commands:
        ended = minikd(files, *arguments, env={"PYTHONIOENCODING": "utf-8"})
        said = (ended.stdout + ended.stderr).decode("utf-8")
        assert not set(evil) & set(said) & {"\x1b", "\x07", "\u202e"}, said
        assert "\r" not in ended.stdout.decode("utf-8")
        assert ended.returncode in (0, 2), said


def write_named(path, name):
    """Write the usual data with class names of which one is this."""
    write_data(path)
    np.savez(path, **np.load(path), class_names=np.array([f"a{name}", "b", "c"]))
