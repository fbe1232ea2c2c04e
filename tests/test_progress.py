"""The bars of a training on every kind of standard error: what is shown is never worth the training."""

import io
import logging
import sys

import numpy as np
import pytest

import minikd
from minikd import Bars, Plan, nn


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


def train(watcher):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 1, 4, 4), np.uint8), np.arange(60) % 3
    data = minikd.Dataset("d", images[:45], labels[:45], images[45:], labels[45:], ("a", "b", "c"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, np.random.default_rng(1)))
    minikd.train(model, data, Plan(epochs=2, batch_size=5), watcher=watcher)
    return model.vector.tobytes()


@pytest.fixture(scope="module")
def alone():
    return train(None)


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


def test_a_broken_standard_error_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "stderr", broken := Broken(2))
    train(Bars())
    assert sys.stderr is broken
