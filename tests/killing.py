"""Kill a run, or an experiment, before and after every call that changes the disk, go on with it, and look at its end.

    python -m tests.killing distill|experiment FOLDER [SHARE]

Each try is a fork of this process, so it takes no second. SHARE of the points (default: all) are tried, evenly spread;
with all, as many tries more are killed a second time while they go on. A line for each end that is not that of an
undisturbed run, and as the last line the number of tries.
"""

import json
import os
import random
import shutil
import signal
import sys
import traceback
from itertools import count
from pathlib import Path

from minikd.cli import main
from minikd.distillation import folder as run_folder
from minikd.evidence.experiments import whole
from minikd.evidence.experiments.cell import Cell
from minikd.evidence.experiments.experiment import Experiment, Size
from minikd.report import figures
from tests.cli.makers import QUICK, write_data
from tests.evidence.experiments.makers import recipe_of

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
"""What changes names or forces bytes to the disk."""


def fork(work, point=-1):
    """Do the work in a process of its own, killed at this point; return its status and how many points it has passed.

    Point 2 k lies before the k-th call, 2 k + 1 after it.
    """
    out, into = os.pipe()
    child = os.fork()
    if child:
        os.close(into)
        with open(out) as said:
            passed = said.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(passed or 0)
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        calls = kill_at(point)
        status = work()
        os.write(into, str(2 * next(calls)).encode())
        os._exit(status)
    except BaseException:
        traceback.print_exc()
        os._exit(99)


def kill_at(point):
    """Let this process be killed at a point; return what counts the calls."""
    calls = count()

    def around(real):
        def call(*arguments, **settings):
            number = next(calls)
            if 2 * number == point:
                os.kill(os.getpid(), signal.SIGKILL)
            found = real(*arguments, **settings)
            if 2 * number + 1 == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call

    os.fsync = lambda descriptor: None  # a killed process needs none, and it takes most of the time
    for name in CALLS:
        setattr(os, name, around(getattr(os, name)))
    return calls


class Distill:
    """`minikd distill`, begun anew where a kill has left no folder, gone on with where it has."""

    def __init__(self, data, folder):
        self.data, self.folder = data, folder

    def __call__(self):
        run = self.folder / "x"
        start = ["--data", str(self.data), "--runs", str(self.folder), "--name", "x", *QUICK]
        return main(["distill", *(["--resume", str(run)] if run.exists() else start), "--quiet", "--json"])

    def end(self):
        run = self.folder / "x"
        results = json.loads((run / "results.json").read_text())
        found = {path.name: path.read_bytes() for path in run.glob("*.safetensors")}
        names = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
        history = [line.split(",")[:5] for line in (run / "history.csv").read_text().splitlines()]
        return found, names, history, [results[name]["errors"] for name in ("teacher", "student_distilled")]


class OneExperiment:
    """An experiment of a teacher, a baseline and a student, its cells in this process."""

    def __init__(self, data, folder):
        self.folder = folder
        sizes = {"short": Size(teacher=1, student=1, minutes=1)}
        stages = (self.teachers, self.students)
        self.experiment = Experiment(
            "kills", "", "", sizes, recipe_of(data), stages, ("baseline",), lambda report: None
        )

    @staticmethod
    def teachers(setup, _):
        return [Cell("teacher", recipe, "teacher") for recipe in setup.recipes()]

    @staticmethod
    def students(setup, _):
        baseline = [Cell("baseline", recipe, "baseline", "teacher") for recipe in setup.recipes()]
        return baseline + [Cell("soft", recipe, "student", "teacher", ("baseline",)) for recipe in setup.recipes()]

    def __call__(self):
        report = whole.run(self.experiment, "short", 1, 1, self.folder)
        return 1 if report["failed"] else 0

    def end(self):
        report = json.loads((self.folder / "results.json").read_text())
        found = {path.parent.name: path.read_bytes() for path in self.folder.rglob("*.safetensors")}
        names = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
        outcomes = [json.loads(path.read_text()) for path in sorted(self.folder.glob("cells/*.json"))]
        return found, names, [{**one, "seconds": 0, "sha256": ""} for one in outcomes], len(report["rows"])


def trouble(work, whole_end, points):
    """Kill the work at these points, each time it goes on, then let it come to its end; return what is wrong there."""
    shutil.rmtree(work.folder, ignore_errors=True)
    for point in points:
        status, _ = fork(work, point)
        if status not in (-signal.SIGKILL, 0):  # 0: what is left to do has fewer points
            return f"status {status} where it should be killed"
    status, _ = fork(work)
    if status:
        return f"status {status} where it goes on"
    parts = zip(("weights", "names", "history or outcomes", "results"), work.end(), whole_end, strict=True)
    return "; ".join(f"other {part}{different(a, b)}" for part, a, b in parts if a != b)


def different(a, b):
    """Return what only one of two lists of names has."""
    return (
        f" {set(a) ^ set(b)}" if all(isinstance(one, list) and set(map(type, one)) == {str} for one in (a, b)) else ""
    )


def tried(kind, folder, share):
    """Return how many tries were made, and what was wrong with which."""
    figures.svg = whole.png = lambda *_: b"a figure"  # drawing takes longer than all the rest
    figures.FIGURES.update(dict.fromkeys(figures.FIGURES, lambda *_: None))
    run_folder.YOUNG = -1.0  # a fork goes on at once; a process takes longer to begin
    whole.draw = lambda experiment, report, path: whole.write_atomically(path, b"a figure")
    work = {"distill": Distill, "experiment": OneExperiment}[kind](write_data(folder / "squares.npz"), folder / "work")
    shutil.rmtree(work.folder, ignore_errors=True)
    status, points = fork(work)
    assert status == 0
    assert points > 0
    end, chance = work.end(), random.Random(0)
    tries = [(point,) for point in range(0, points, max(1, round(1 / share)))]
    if share == 1:
        tries += [(chance.randrange(points), chance.randrange(points)) for _ in range(points)]
    wrong = {one: found for one in tries if (found := trouble(work, end, one))}
    return len(tries), wrong


if __name__ == "__main__":
    number, wrong = tried(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 1.0)
    for points, what in wrong.items():
        print(f"killed at {points}: {what}", file=sys.stderr)
    print(number)
    sys.exit(1 if wrong else 0)
