"""The bars of a training on every kind of standard error: what is shown is never worth the training."""

import builtins
import io
import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import minikd
from minikd import Bars, Plan, nn
from minikd.distillation.progress import JobProgress, clock, epoch_line
from minikd.distillation.results import name_of
from minikd.training.checkpoints import Position
from tests import problems


class Logger:
    """As programs put in the place of standard error: it has `write` and nothing else."""

    def __init__(self):
        self.lines = []

    def write(self, text):
        self.lines.append(text)
        logging.getLogger("test").debug(text)


class Broken(io.StringIO):
    """A pipe whose reader goes away after so many texts."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def ascii_only():
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


def train(*callbacks):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 1, 4, 4), np.uint8), np.arange(60) % 3
    data = minikd.Dataset("d", images[:45], labels[:45], images[45:], labels[45:], ("a", "b", "c"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, np.random.default_rng(1)))
    minikd.train(model, data, Plan(epochs=2, batch_size=5), callbacks=list(callbacks))
    return model.vector.tobytes()


@pytest.fixture(scope="module")
def alone():
    return train()


STREAMS = {
    "none": lambda: None,
    "no stream": object,
    "logger": Logger,
    "closed": closed,
    "ascii": ascii_only,
    **{f"broken after {after}": lambda after=after: Broken(after) for after in (0, 1, 3, 7)},
}


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_a_training_goes_on_whatever_standard_error_is(make, alone, monkeypatch):
    bars = Bars()
    monkeypatch.setattr(sys, "stderr", make())
    assert train(bars) == alone


def test_standard_error_may_change_between_two_trainings(alone, monkeypatch):
    bars = Bars()
    for stream in (closed(), Logger()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert train(bars) == alone
    assert any("epoch 2/2" in line for line in stream.lines)


def test_bars_and_lines_are_shown_in_ascii_where_that_is_all_there_is(alone, monkeypatch):
    monkeypatch.setattr(sys, "stderr", ascii_only())
    bars = Bars()
    assert train(bars) == alone
    bars.note("the teacher looks → at α\x1b[2J\nfolder")
    said = sys.stderr.buffer.getvalue().decode("ascii")
    assert "model 1/2 " in said
    assert said.endswith("the teacher looks -> at alpha\\x1b[2J\\nfolder\n")


def under_way(name, epochs, images, epoch=0):
    """What bars look at of a run."""
    return SimpleNamespace(name=name, plan=Plan(epochs), views=range(images), position=Position(epoch))


def shown(**callbacks):
    data, teacher = problems.dataset(), problems.cnn()
    minikd.train(teacher, data, Plan(epochs=2), **callbacks)
    minikd.distill(teacher, problems.mlp(), data, Plan(epochs=2), **callbacks)
    return sys.stderr.getvalue()


def test_a_training_shows_itself_unless_told_not_to(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not shown(callbacks=[])
    said = shown()
    assert "model 1/2 " in said
    assert said.index("the teacher looks at 60 images ...") < said.index("student 1/2 ")


@pytest.mark.parametrize("notebook", [False, True])
def test_bars_move_often_where_somebody_looks(notebook, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    if notebook:
        monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    bars = Bars()
    run = under_way("model", 1, 10)
    bars.on_start(run)
    assert bars.bar.mininterval == (0.1 if notebook else 5.0)
    bars.on_end(run)


def test_a_broken_standard_error_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "stderr", broken := Broken(2))
    train(Bars())
    assert sys.stderr is broken


class Clock:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("minikd.distillation.progress.time.monotonic", lambda: self.now)


def test_the_whole_job_and_its_time_left_stand_beside_the_model(monkeypatch):
    watch, job = Clock(monkeypatch), JobProgress({"teacher": 60.0, "student_baseline": 20.0, "student_distilled": 20.0})
    assert job.text(0.0) == ""
    job.begin("teacher", 0.0)
    assert job.text(0.0) == "job  0%|    | ? left"
    watch.now = 30.0
    assert job.text(0.5, plain=True) == "job 30%|#2  | 1:10 left"
    watch.now = 90.0
    job.begin("student_distilled", 0.5)
    assert job.text(0.5) == "job 90%|███▌| 0:10 left"
    assert job.text(1.0) == "job 100%|████| 0:00 left"


def test_a_resumed_job_counts_what_is_done_but_not_its_speed(monkeypatch):
    watch, job = Clock(monkeypatch), JobProgress({"teacher": 60.0, "student_baseline": 40.0})
    watch.now = 1000.0
    job.begin("student_baseline", 0.5)
    watch.now = 1010.0
    assert job.text(0.75) == "job 90%|███▌| 0:10 left"


def test_a_stage_that_is_none_of_the_job_says_nothing_of_it():
    job = JobProgress({"teacher": 1.0})
    job.begin("model", 0.0)
    assert job.text(0.5) == JobProgress({}).text(0.5) == ""


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3751, "1:02:31"), (1e12, "99:59:59")])
def test_time_left_is_a_clock(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("epochs", [1, 40, 1000])
@pytest.mark.parametrize("model", ["teacher", "student_baseline", "student_distilled", "generation_1", "assistant"])
def test_an_epochs_line_fits_and_names_the_model(width, epochs, model):
    row = {"model": model, "epoch": epochs, "loss": 1.23456, "accuracy": 1.0, "evaluated_on": "validation"}
    line = epoch_line({**row, "images_per_second": 123456.0}, epochs, width)
    assert len(line) <= width
    assert line.startswith(name_of(model))
    assert f"{epochs}/{epochs}  loss 1.2346  validation" in line
    assert ("accuracy" in line) == (width > 60)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_bar_fits_its_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr("minikd.distillation.progress.OFTEN", -1.0)
    bars = Bars()
    bars.plan({"student_distilled": 100.0})
    run = under_way("student_distilled", 40, 55_000, epoch=39)
    bars.on_start(run)
    bars.bar.mininterval = 0
    for _ in range(50):
        bars.on_step(run, SimpleNamespace(images=1000))
    bars.on_end(run)
    drawn = [part.rstrip() for part in stream.getvalue().split("\r")]
    assert max(map(len, drawn)) <= width
    assert any(part.startswith("distilled student 40/40 ") and part.count("left") >= 1 for part in drawn)
    assert any("job 9" in part for part in drawn)


def test_distill_tells_the_bars_its_stages(tmp_path):
    from minikd.distillation import networks
    from minikd.distillation.job import Job
    from minikd.distillation.recipe import Recipe
    from tests.cli.makers import write_data

    recipe, bars = Recipe(data=str(write_data(tmp_path / "squares.npz"))), Bars()
    with Job(recipe, tmp_path / "run", networks.prepared(recipe), [bars]):
        assert list(bars.job.work) == ["teacher", "student_baseline", "student_distilled"]
        assert all(work > 0 for work in bars.job.work.values())
