"""A damaged file gives what the whole one gave, or one error of one line: never a traceback, never another result.

Each format that minikd reads is damaged a thousand times, the same each time the tests run.
"""

import contextlib
import io
import os
import shutil
import sys
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

from minikd.cli import main
from minikd.console.notices import Notice
from minikd.data import Augmentation
from minikd.data.idx import read_idx
from minikd.data.npz import read_npz
from minikd.data.pictures import load_image
from minikd.distillation.history import read_history, write_history
from minikd.distillation.recipe import Recipe, read_run_recipe, sealed
from minikd.distillation.results import read_results, write_results
from minikd.distillation.search import FILE, Trial, read_record
from minikd.distillation.teacher_cache import cached_outputs
from minikd.errors import MinikdError
from minikd.evidence.experiments.cell import read_outcome
from minikd.evidence.experiments.precomputed_augmentation import augmented_copies
from minikd.methods import Labels
from minikd.storage.jsonfiles import write_json
from minikd.training import Plan
from minikd.training.checkpoints import Length, Position, load_checkpoint, save_checkpoint
from minikd.training.run import Run
from minikd.weights import load_model, save_model
from tests import problems
from tests.cli.makers import QUICK, write_data
from tests.damage import DAMAGES, damaged, flipped
from tests.records import CARD, CELL, OUTCOME, RESULTS, row

SECONDS = 10
"""The longest that one reading may take, on a busy machine."""

BYTES = 2**30
"""By how much the process may grow while a thousand damaged files are read."""

LONGEST = 2000
"""Characters of an error, with its path."""

PLAN = Plan(epochs=3, batch_size=4)

pytestmark = pytest.mark.numpy_only("files hold no device's arrays")


def weights(folder):
    path = folder / "model.safetensors"
    save_model(path, problems.cnn(), CARD, "a digest")

    def read():
        model, card = load_model(path)
        return repr(model), card, {name: value.tobytes() for name, value in model.state_dict().items()}

    return path, read


def checkpoint(folder):
    path = folder / "model.checkpoint"

    def run():
        return Run(problems.cnn(), problems.views(), Labels(), PLAN)

    state = {**run().state, "optimizer.step": np.array(5)}
    history = [row("model", 1)]
    save_checkpoint(path, state, Position(1, 2, 5, 8, 3.5, 0.25, {"hard_loss": 1.0, "looks": 1.0}, history), "a run")

    def read():
        state = run().state
        position = load_checkpoint(path, state, "a run", Length(PLAN.epochs, 10, PLAN.batch_size))
        return repr(position), {name: value.tobytes() for name, value in state.items()}

    return path, read


def results(folder):
    write_results(folder, RESULTS)
    return folder / "results.json", lambda: read_results(folder)


def history(folder):
    write_history(folder / "history.csv", [row("teacher", 1), row("teacher", 2), row("student_baseline", 1)])
    return folder / "history.csv", lambda: repr(read_history(folder / "history.csv"))


def recipe(folder):
    (folder / "config.toml").write_text(sealed(Recipe(data="/some/where", seed=3)))
    return folder / "config.toml", lambda: read_run_recipe(folder)


def search(folder):
    trials = [Trial(key=f"student: {name}, round 1", errors=3, images=20, brier=0.25) for name in "ab"]
    write_json(folder / FILE, {"identity": "0123", "trials": trials})
    return folder / FILE, lambda: read_record(folder)


def outcome(folder):
    path = folder / "cells" / f"{CELL.key}.json"
    path.parent.mkdir()
    write_json(path, OUTCOME)
    return path, lambda: read_outcome(CELL, folder)


def answers(folder):
    outputs = np.arange(30, dtype=np.float32).reshape(10, 3), {"0": np.ones((10, 2), np.float32)}

    def read():
        logits, taps = cached_outputs(folder, problems.cnn(), problems.views(), ("0",), lambda: outputs)
        return logits.tolist(), taps["0"].tolist()

    read()
    return next(folder.iterdir()), read


def copies(folder):
    path, images = folder / "copies.safetensors", problems.views(4).images

    def read():
        return augmented_copies(path, images, 2, Augmentation(shift=1)).tolist()

    read()
    return path, read


def zipped(folder):
    path = write_data(folder / "data.npz", 24)
    return path, lambda: arrays(read_npz(path))


def arrays(data):
    """A data set's arrays as what can be compared."""
    return [getattr(data, f"{part}_{kind}").tolist() for part in ("train", "test") for kind in ("images", "labels")]


def idx(folder):
    path = folder / "images-idx3-ubyte"
    path.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 5]) + bytes(range(120)))
    return path, lambda: read_idx(path) is None


def picture(folder):
    path = folder / "picture.png"
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(path)
    return path, lambda: load_image(path, (1, 12, 10)) is None


FORMATS = (
    *(weights, checkpoint, results, history, recipe, search, outcome, answers, copies),
    *(zipped, idx, picture),  # the last two have no checksum over all pixels, so any pixels are right
)


def peak_bytes():
    """The most memory that this process has held; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def check(path, read, data, damages, wanted):
    """Read a damaged file: what the whole one gave, one error of one line, or what a notice tells of."""
    path.write_bytes(damaged(data, damages))
    begin, error = time.monotonic(), None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Notice)
        try:
            found = read()
        except MinikdError as refusal:
            error = str(refusal)
    if error is None:
        assert found == wanted or any(issubclass(one.category, Notice) for one in told)
    else:
        assert error.isprintable()
        assert len(error) < LONGEST
    assert time.monotonic() - begin < SECONDS


def a_thousand(**more):
    """Return the settings of a test that damages a file a thousand times, the same in every run."""
    settled = {"max_examples": 1000, "derandomize": True, "database": None, "deadline": None}
    return settings(**settled | more, suppress_health_check=HealthCheck)


@pytest.mark.parametrize("make", FORMATS, ids=lambda make: make.__name__)
def test_a_thousand_damages(make, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a damaged cache is written anew each time
    path, read = make(tmp_path_factory.mktemp("damaged"))
    data, wanted, before = path.read_bytes(), read(), peak_bytes()
    others = set(path.parent.iterdir())

    @a_thousand()
    @given(DAMAGES)
    def damage(damages):
        check(path, read, data, damages, wanted)

    damage()
    assert peak_bytes() - before < BYTES
    assert set(path.parent.iterdir()) == others


@pytest.mark.parametrize("make", [weights, checkpoint, answers, copies, results, search, outcome, history])
def test_every_single_bit_is_missed(make, tmp_path_factory, monkeypatch):
    """What minikd writes with a checksum never becomes something else by one bit: a sample of all of them."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    path, read = make(tmp_path_factory.mktemp("flipped"))
    data, wanted = path.read_bytes(), read()
    for number in np.random.default_rng(0).choice(8 * len(data), 200, replace=False):
        check(path, read, data, [(flipped, int(number) // 8, int(number) % 8)], wanted)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run, beside its data and a picture."""
    home = tmp_path_factory.mktemp("run")
    data = write_data(home / "squares.npz")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["distill", "--data", str(data), "--runs", str(home), "--name", "done", "--quiet", *QUICK]) == 0
    Image.fromarray(np.arange(120, dtype=np.uint8).reshape(12, 10)).save(home / "p.png")
    return home / "done"


WEIGHTS = "student_baseline.safetensors"
COMMANDS = (
    ("evaluate", WEIGHTS, lambda run: ("evaluate", run / WEIGHTS, "--data", run.parent / "squares.npz")),
    ("predict", WEIGHTS, lambda run: ("predict", run.parent / "p.png", "--run", run)),
    ("info", WEIGHTS, lambda run: ("info", run)),
    ("distill", "results.json", lambda run: ("distill", "--resume", run, "--quiet")),
    ("distill", "config.toml", lambda run: ("distill", "--resume", run, "--quiet")),
    ("train", "history.csv", lambda run: ("train", "--model", "baseline", "--resume", run, "--quiet")),
)


@pytest.mark.parametrize(("command", "name", "words"), COMMANDS, ids=[f"{one[0]}-{one[1]}" for one in COMMANDS])
def test_a_command_on_a_damaged_file_says_one_line_and_ends_with_2(command, name, words, run, tmp_path_factory):
    """`train` has its results yet to write; what it trained is there."""
    copy = shutil.copytree(run, tmp_path_factory.mktemp("copy") / "run")
    for path in run.parent.iterdir():
        if path.is_file():
            shutil.copy(path, copy.parent)
    data, statuses = (copy / name).read_bytes(), set()

    @a_thousand(max_examples=30)
    @given(DAMAGES)
    def damage(damages):
        (copy / name).write_bytes(damaged(data, damages))
        if command == "train":
            (copy / "results.json").unlink(missing_ok=True)
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            statuses.add(main([*map(str, words(copy))]))
        lines = said.getvalue().splitlines()
        assert all(line.startswith(("minikd: note: ", "minikd: error: ")) for line in lines), lines

    damage()
    assert 2 in statuses
    assert statuses <= {0, 2}
