"""What a checkpoint says of its position is one that the run comes by; everything else is refused in a moment."""

import json
import time
from dataclasses import asdict

import numpy as np
import pytest

from minikd.errors import CheckpointError
from minikd.methods import Labels
from minikd.storage.tensors import read_tensors, write_tensors
from minikd.training import Checkpoint, Plan, fit
from minikd.training.checkpoints import COLUMNS, Length, Position, load_checkpoint, save_checkpoint
from minikd.training.identity import identity_of
from minikd.training.run import Run
from tests import problems
from tests.records import row

PLAN = Plan(epochs=3, batch_size=4)
LENGTH = Length(PLAN.epochs, images=10, batch_size=4)


IDENTITY = identity_of("model", problems.mlp(), problems.views(), asdict(PLAN), {})


def run():
    return Run(problems.mlp(), problems.views(), Labels(), PLAN)


def written(path, **change):
    """Write a checkpoint after epoch 1 and two batches of epoch 2, with another header where one is given."""
    one = run()
    one.optimizer_state["step"][...] = 5
    telemetry = {"hard_loss": 1.0, "looks": 1.0}
    save_checkpoint(path, one.state, Position(1, 2, 5, 8, 3.5, 0.25, telemetry, [row("model", 1)]), IDENTITY)
    if change:
        tensors, metadata = read_tensors(path)
        header = json.loads(metadata["minikd-checkpoint"])
        header["position"] |= change
        write_tensors(path, tensors, {"minikd-checkpoint": json.dumps(header)})
    return path


def load(path):
    one = run()
    return load_checkpoint(path, one.state, IDENTITY, LENGTH)


def test_a_position_comes_back_with_numbers_that_are_none(tmp_path):
    position = load(written(tmp_path / "checkpoint"))
    assert (position.epoch, position.batch, position.loss_sum) == (1, 2, 3.5)
    assert repr(position.history) == repr([row("model", 1)])
    assert "NaN" not in (tmp_path / "checkpoint").read_bytes().decode("latin-1")


def test_a_checkpoint_of_an_earlier_version_does_not_say_how_steps_were_taken(tmp_path):
    earlier = {name: value for name, value in row("model", 1).items() if name != "steps"}
    history = [{name: None if value != value else value for name, value in earlier.items()}]
    position = load(written(tmp_path / "checkpoint", history=history))
    assert repr(position.history) == repr([row("model", 1) | {"steps": ""}])


def test_telemetry_that_overflowed_costs_nobody_the_run(tmp_path):
    one = run()
    save_checkpoint(tmp_path / "c", one.state, Position(telemetry={"hard_gradient": np.inf, "looks": 1.0}), "a run")
    found = load_checkpoint(tmp_path / "c", one.state, "a run", LENGTH).telemetry
    assert np.isnan(found["hard_gradient"])
    assert found["looks"] == 1


POSITIONS = [
    ({"batch": 3}, "it is at batch 3 of epoch 1, of 3 in each of 3"),
    ({"batch": 10**15}, "it is at batch"),
    ({"batch": -1}, "it is at batch"),
    ({"batch": 1}, "is not that of batch 1"),
    ({"epoch": -1}, "it is at"),
    ({"epoch": 4}, "it is at"),
    ({"epoch": 3}, "it is at batch 2 of epoch 3"),
    ({"epoch": 3, "batch": 0, "step": 9, "images": 0}, "its history has 1 rows, but 3 epochs"),
    ({"epoch": 1.0}, "Expected `int`, got `float`"),
    ({"epoch": True}, "Expected `int`, got `bool`"),
    ({"epoch": None}, "Expected `int`, got `null`"),
    ({"epoch": "1"}, "Expected `int`, got `str`"),
    ({"epoch": 10**40}, "a whole number of 133 bits"),
    ({"step": -5}, "step -5"),
    ({"images": 10**15}, "image 1000000000000000"),
    ({"loss_sum": None}, "Expected `float`"),
    ({"loss_sum": float("nan")}, "Expected `float`"),
    ({"seconds": -1.0}, "its seconds are -1.0"),
    ({"telemetry": [1]}, "Expected `object`"),
    ({"telemetry": {"hard_loss": 1.0}}, "its telemetry is"),
    ({"telemetry": {"looks": 0.0, "hard_loss": 1.0}}, "its telemetry is"),
    ({"telemetry": {"looks": 1.0, "weather": 1.0}}, "its telemetry is"),
    ({"telemetry": {"looks": None}}, "its telemetry is"),
    ({"history": None}, "its history is None"),
    ({"history": {}}, "its history is {}"),
    ({"history": [None]}, "a row of its history is None"),
    ({"history": [{"epoch": 1}]}, "must hold model, epoch"),
    ({"history": [row("model", 2)]}, "after epoch 0 of 'model' comes epoch 2"),
    ({"history": [row("model", 1) | {"loss": float("nan")}]}, "Expected `float`, got `null`"),
    ({"history": [row("model", 1) | {"loss": "1"}]}, "Expected `float`, got `str`"),
    ({"history": [row("model", 1) | {"seconds": -1.0}]}, "seconds is -1.0"),
    ({"history": [row("model", 1) | {"model": 3}]}, "Expected `str`"),
    ({"history": [row("model", 1) | {"steps": "slowly"}]}, "steps is 'slowly', but must be one of"),
    ({"history": [row("model", 1) | {"steps": None}]}, "Expected `str`"),
    ({"more": 1}, "it holds 'more'"),
]


@pytest.mark.parametrize(("change", "message"), POSITIONS, ids=[str(change)[:40] for change, _ in POSITIONS])
def test_a_position_that_the_run_does_not_come_by_is_refused(change, message, tmp_path):
    path = written(tmp_path / "checkpoint", **change)
    with pytest.raises(CheckpointError, match=message) as refusal:
        load(path)
    assert "remove it" in str(refusal.value)


def test_training_does_not_go_on_for_ever_beyond_an_epoch(tmp_path):
    begin, path = time.monotonic(), written(tmp_path / "checkpoint", batch=10**6)
    with pytest.raises(CheckpointError, match="it is at batch"):
        fit(problems.mlp(), problems.views(), Labels(), PLAN, [Checkpoint(path)])
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer.step", np.array(-1), "taken -1 steps, the run 5"),
        ("optimizer.step", np.array(6), "taken 6 steps, the run 5"),
        ("optimizer.step", np.array(5.0), "another model or optimiser"),
        ("optimizer.step", np.array([5]), "another model or optimiser"),
        ("optimizer.m", np.zeros(323), "another model or optimiser"),
    ],
)
def test_arrays_that_the_run_does_not_have_are_refused_and_nothing_is_changed(name, value, message, tmp_path):
    path = written(tmp_path / "checkpoint")
    tensors, metadata = read_tensors(path)
    write_tensors(path, {**tensors, name: value, "model.1.bias": np.full(8, 7, np.float32)}, metadata)
    one = run()
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path, one.state, IDENTITY, LENGTH)
    assert not one.model.params["1.bias"].any()


@pytest.mark.parametrize("text", ["", "null", "[]", '{"position": {}, "run": ""}', '{"run": 3}', "[" * 10**5])
def test_what_says_nothing_of_a_position_is_refused(text, tmp_path):
    path = written(tmp_path / "checkpoint")
    write_tensors(path, read_tensors(path)[0], {"minikd-checkpoint": text})
    with pytest.raises(CheckpointError, match=r"is not a checkpoint of minikd|belongs to another run"):
        load(path)


def test_every_column_of_a_row_is_asked_for():
    assert set(row("model", 1)) == set(COLUMNS)
