"""Ctrl-C, SIGTERM and SIGHUP at any moment: one line that goes on, 128 + the signal's number, no traceback."""

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from minikd.console.interrupts import SIGNALS
from tests.cli.makers import QUICK

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="Windows sends no signal to one process"),
    pytest.mark.numpy_only("the processes that get the signals run on NumPy"),
]

DRIVER = """
import importlib, os, sys, time
where, number = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
module, name = where.rsplit(".", 1)
home = importlib.import_module(module)
real, hits = getattr(home, name), []

def hit(*arguments, **settings):
    if not hits:
        hits.append(os.kill(os.getpid(), number))
    return real(*arguments, **settings)

setattr(home, name, hit)
from minikd.__main__ import main
sys.exit(main())
"""
"""The command, in which a signal comes as soon as a function is called."""


@pytest.fixture
def hit(tmp_path):
    """Run the command with a signal where a function is called; return its status and what it said."""
    (tmp_path / "__main__.py").write_text(DRIVER)

    def run(where, number, *arguments):
        command = [sys.executable, str(tmp_path / "__main__.py"), where, str(int(number)), *map(str, arguments)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        for word in ("Traceback", "Exception ignored"):
            assert word not in done.stderr
        return done.returncode, done.stderr

    return run


MOMENTS = {
    "training": "minikd.training.loop.add_up",
    "measuring": "minikd.distillation.run.measure",
    "drawing": "minikd.distillation.run.write_figures",
    "reporting": "minikd.distillation.run.write_report",
}


@pytest.mark.parametrize(
    ("moment", "number"), [*(("training", number) for number in SIGNALS), *zip(list(MOMENTS)[1:], SIGNALS, strict=True)]
)
def test_a_stopped_run_says_the_command_that_goes_on(moment, number, hit, data, finished, tmp_path):
    runs = tmp_path / "my runs"
    begin = ["distill", "--data", data, "--runs", runs, "--name", "a b", "--quiet", *QUICK]
    status, said = hit(MOMENTS[moment], number, *begin)
    assert status == 128 + number
    *_, stopped, command, last = said.splitlines()
    assert (stopped, last) == ("stopped; continue with:", "minikd: stopped")
    assert shlex.split(command)[-3:] == ["distill", "--resume", str(runs / "a b")]
    assert (runs / "a b" / "teacher.checkpoint").exists() == (moment == "training")
    done = subprocess.run(f"{command} --quiet", shell=True, env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 0
    for path in finished.glob("*.safetensors"):
        assert (runs / "a b" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_stopped_before_it_has_a_folder_leaves_nothing(number, hit, data, tmp_path):
    begin = ["distill", "--data", data, "--runs", tmp_path / "runs", "--name", "x", "--quiet", *QUICK]
    status, said = hit("minikd.distillation.prepare.load_dataset", number, *begin)
    assert (status, said) == (128 + number, "\nminikd: stopped\n")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_stopped_while_it_is_gone_on_with_says_so_again(hit, data, finished, tmp_path):
    run = tmp_path / "x"
    run.mkdir()
    (run / "config.toml").write_bytes((finished / "config.toml").read_bytes())
    status, said = hit("minikd.distillation.prepare.load_dataset", signal.SIGTERM, "distill", "--resume", run)
    assert status == 143
    assert f"--resume {run}\n" in said


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("minikd.distillation.measure.load_model", ("evaluate", "teacher.safetensors", "--data", "{data}")),
        ("minikd.distillation.predict.seen_in", ("predict", "p.png", "--run", "{run}")),
        ("minikd.cli.bench.chosen", ("bench", "--quick", "--only", "student")),
        ("minikd.lessons.library.chosen", ("lessons", "01")),
        ("minikd.evidence.gradcheck.run_suite", ("gradcheck",)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_other_command_only_says_that_it_was_stopped(where, command, hit, data, finished):
    words = [word.format(data=data, run=finished) for word in command]
    assert hit(where, signal.SIGHUP, *words) == (129, "\nminikd: stopped\n")


def test_a_stopped_experiment_says_the_command_that_goes_on(hit, tmp_path):
    command = ["experiment", "data", "--preset", "tiny", "--seeds", "1", "--folder", tmp_path / "a b", "--quiet"]
    status, said = hit("minikd.evidence.experiments.whole.run_cells", signal.SIGTERM, *command)
    assert status == 143
    assert said.splitlines()[-3:-1] == [
        "stopped; finished cells are kept; continue with:",
        f"  {sys.executable} -m minikd {shlex.join(map(str, command))}",
    ]


SECONDS = """
import os, signal, sys
from minikd.console.interrupts import stop_by_exception
if "ignored" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
stop_by_exception()
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
try:
    if "del" in sys.argv:
        Last()
    elif "ignored" in sys.argv:
        os.kill(os.getpid(), signal.SIGHUP)
        sys.exit(0)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGINT)
print("not reached")
"""


@pytest.mark.parametrize(
    ("how", "status"), [("twice", 143), ("del", 130), ("ignored", 0)], ids=["twice", "where none can pass", "nohup"]
)
def test_a_second_one_ends_at_once_and_so_does_one_that_is_swallowed(how, status):
    done = subprocess.run([sys.executable, "-c", SECONDS, how], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == status
    assert (done.stdout, done.stderr) == ("", "" if how == "ignored" else "\nminikd: stopped\n")


@pytest.mark.parametrize("lines", [3, 20, 60, 100, 150, 200, 250])
def test_ctrl_c_during_the_imports_is_no_traceback(lines, data):
    """Python tells on standard error of each module that it has imported: the signal comes after so many of ours."""
    command = [sys.executable, "-X", "importtime", "-m", "minikd", "methods", "--data", str(data)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        for line in one.stderr:
            if line.rstrip().endswith("minikd.console.interrupts"):
                break
        for _ in range(lines):
            one.stderr.readline()
        one.send_signal(signal.SIGINT)
        _, said = one.communicate(timeout=60)
    assert one.returncode == 130
    assert [line for line in said.splitlines() if not line.startswith("import time:")] == ["", "minikd: stopped"]


EARLIEST = """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "minikd.console.interrupts":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
import minikd.__main__
"""


def test_ctrl_c_amid_the_handlers_own_modules_is_no_traceback():
    done = subprocess.run([sys.executable, "-c", EARLIEST], env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nminikd: stopped\n")


def test_nothing_is_imported_before_the_handler_is_set():
    script = "import sys; before = set(sys.modules); import minikd; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout == "minikd\n"


TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes standard error the process's own terminal."""


def test_a_closed_terminal_leaves_a_checkpoint(data, tmp_path):
    """And that nobody can be told of it ends nothing."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    flags = ["--data", str(data), "--runs", str(tmp_path), "--name", "x", *QUICK, "--teacher-epochs", "100000"]
    command = [sys.executable, "-c", TERMINAL, sys.executable, "-m", "minikd", "distill", *flags]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    end = time.monotonic() + 60
    while not (tmp_path / "x" / "history.csv").exists() and time.monotonic() < end:
        with suppress(BlockingIOError):
            os.read(ours, 10_000)
        time.sleep(0.01)
    os.close(ours)
    try:
        assert process.wait(timeout=60) == 129
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "x" / "teacher.checkpoint").exists()
