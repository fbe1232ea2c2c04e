"""A run that is stopped anywhere and goes on gives the bits of one that never stopped."""

import errno
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from minikd import losses
from minikd.console.interrupts import SIGNALS
from minikd.data import Augmentation
from minikd.errors import CheckpointError
from minikd.methods import Labels
from minikd.storage.tensors import write_tensors
from minikd.training import Checkpoint, Evaluation, History, Interrupted, Plan, callbacks, fit
from minikd.training import loop as training
from minikd.training.checkpoints import Length, load_checkpoint
from minikd.training.identity import identity_of
from minikd.training.run import Run
from tests import problems

PLAN = Plan(epochs=2, batch_size=4, learning_rate=0.05)
LOOKS = 8
"""Training looks before each of three batches and after each of two epochs."""

KINDS = {
    "dropout, Adam, one cycle": (lambda: problems.mlp(dropout=0.5), PLAN),
    "batch norm, Nesterov, cosine": (problems.cnn, replace(PLAN, optimizer="nesterov", schedule="cosine")),
    "warm-up, AdamW, clipping": (problems.mlp, replace(PLAN, optimizer="adamw", warm_up=1.0, clip_norm=0.1)),
}


def session(make, plan=PLAN, path=None, views=None, objective=None, name="model", identity=""):
    """Train a new model, from the checkpoint where there is one; return it and what its history says."""
    model = make()
    rows = fit(
        model,
        views or problems.views(augmentation=Augmentation(shift=1)),
        objective or Labels(),
        plan,
        [
            History(name, lambda model, map_: Evaluation(float(model.vector.sum()), 0.0, "validation")),
            *([Checkpoint(path, identity)] if path else []),
        ],
    )
    return model, [(row["epoch"], row["loss"], row["learning_rate"], row["accuracy"]) for row in rows]


def stopped(monkeypatch, looks, *arguments, **settings):
    with monkeypatch.context() as patch:
        patch.setattr(training, "stop_requests", problems.stop_after(looks))
        with pytest.raises(Interrupted):
            session(*arguments, **settings)


@pytest.mark.parametrize(("make", "plan"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("looks", range(LOOKS))
def test_stopped_once_anywhere(make, plan, looks, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, looks, make, plan, path)
    model, history = session(make, plan, path)
    whole, wanted = session(make, plan)
    assert history == wanted
    assert problems.same_bits(model, whole)


@pytest.mark.parametrize(("make", "plan"), KINDS.values(), ids=KINDS)
def test_stopped_after_every_single_batch(make, plan, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    for _ in range(6):
        stopped(monkeypatch, 1, make, plan, path)
    model, history = session(make, plan, path)
    whole, wanted = session(make, plan)
    assert history == wanted
    assert problems.same_bits(model, whole)


def test_stopped_during_the_last_evaluation_is_stopped_and_complete(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, LOOKS - 1, problems.mlp, PLAN, path)
    with monkeypatch.context() as patch:
        patch.setattr(training, "step", lambda *_: pytest.fail("nothing is left to do"))
        model, history = session(problems.mlp, PLAN, path)
    assert len(history) == 2
    assert problems.same_bits(model, session(problems.mlp)[0])


def test_a_distilled_student_goes_on_with_its_teacher(tmp_path, monkeypatch):
    views = problems.views(augmentation=Augmentation(shift=1))
    objective = problems.distillation_objective(problems.cnn(), views)
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, 2, problems.mlp, PLAN, path, objective=objective)
    assert problems.same_bits(
        session(problems.mlp, PLAN, path, objective=objective)[0], session(problems.mlp, objective=objective)[0]
    )


def test_a_checkpoint_holds_everything_that_changed(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, 5, problems.cnn, PLAN, path)
    model = problems.cnn()
    run = Run(model, problems.views(augmentation=Augmentation(shift=1)), Labels(), PLAN)
    identity = identity_of("model", problems.cnn(), run.views, asdict(PLAN), {})
    position = load_checkpoint(path, run.state, identity, Length(PLAN.epochs, 10, PLAN.batch_size))
    assert (position.epoch, position.batch, position.step, position.images) == (1, 1, 4, 4)
    assert len(position.history) == 1
    assert model.state["1.num_batches_tracked"] == 4
    assert run.optimizer_state["step"] == 4
    assert all(run.optimizer_state[name].any() for name in ("m", "v"))


def test_a_checkpoint_is_written_at_the_end_of_an_epoch_once_the_last_is_old(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    session(problems.mlp, PLAN, path)
    assert not path.exists()
    monkeypatch.setattr(callbacks, "SAVE_SECONDS", -1.0)
    session(problems.mlp, PLAN, path)
    assert path.exists()


OTHER_LABELS, OTHER_PIXELS = (problems.views() for _ in range(2))
OTHER_LABELS.labels[:2] = OTHER_LABELS.labels[1::-1]
OTHER_PIXELS.images[3, 0, 2, 2] ^= 1


@pytest.mark.parametrize(
    "change",
    [
        {"plan": replace(PLAN, seed=1)},
        {"plan": replace(PLAN, epochs=3)},
        {"name": "student"},
        {"identity": identity_of("model", problems.mlp(), problems.views(), asdict(PLAN), {"temperature": 2})},
        {"make": lambda: problems.mlp(dropout=0.1)},
        {"make": problems.cnn},
        {"views": problems.views(11)},
        {"views": replace(problems.views(), seed=1)},
        {"views": replace(problems.views(), augmentation=Augmentation(shift=1))},
        {"views": OTHER_LABELS},
        {"views": OTHER_PIXELS},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_another_run_is_refused_and_nothing_is_changed(change, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    plain = {"make": problems.mlp, "plan": PLAN, "views": problems.views(), "path": path}
    stopped(monkeypatch, 2, **plain)
    before, model = path.read_bytes(), (change.get("make") or problems.mlp)()
    vector = model.vector.copy()
    with pytest.raises(
        CheckpointError, match=r"checkpoint belongs to another run.*start a new run with another --name"
    ):
        session(**plain | change | {"make": lambda: model})
    assert path.read_bytes() == before
    assert np.array_equal(model.vector, vector)
    session(**plain)


def test_the_first_weights_of_another_seed_are_another_run(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, 2, problems.mlp, PLAN, path)
    with pytest.raises(CheckpointError, match="the first weights are others"):
        session(lambda: problems.mlp(seed=1), PLAN, path)


def test_a_checkpoint_is_refused_with_what_has_changed(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, 2, problems.mlp, PLAN, path)
    with pytest.raises(CheckpointError, match=r"epochs was 2 and is 3; learning_rate was 0\.05 and is 0\.1; restore"):
        session(problems.mlp, replace(PLAN, epochs=3, learning_rate=0.1), path)
    views = problems.views(augmentation=Augmentation(shift=1))
    with pytest.raises(CheckpointError, match="the training images are others; restore"):
        session(problems.mlp, PLAN, path, views=replace(views, images=OTHER_PIXELS.images))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"PK\x03\x04 something else altogether")
    with pytest.raises(CheckpointError, match="broken or not a safetensors file"):
        session(problems.mlp, PLAN, path)


def test_a_checkpoint_cut_short_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, 2, problems.mlp, PLAN, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="broken"):
        session(problems.mlp, PLAN, path)


def test_a_weights_file_is_no_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    write_tensors(path, problems.mlp().state_dict(), {})
    with pytest.raises(CheckpointError, match=r"is not a checkpoint of minikd.*remove it and start again"):
        session(problems.mlp, PLAN, path)


def test_a_full_disk_ends_the_run_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    stopped(monkeypatch, 2, problems.mlp, PLAN, path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        patch.setattr(callbacks, "SAVE_SECONDS", -1.0)
        with pytest.raises(CheckpointError, match=r"No space left on device; free some space"):
            session(problems.mlp, PLAN, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["checkpoint"]
    assert problems.same_bits(session(problems.mlp, PLAN, path)[0], session(problems.mlp)[0])


def slow_objective(logits, batch):
    """Cross-entropy that says when a step begins, and takes its time."""
    os.write(1, b"step\n")  # whole: two shards print at once
    time.sleep(0.05)
    return losses.cross_entropy(logits, batch.labels)


INTERRUPTED = """
import sys
from pathlib import Path
from minikd.training import Interrupted
from tests import problems, test_resume
slow = problems.Asked(test_resume.slow_objective)
try:
    test_resume.session(problems.mlp, test_resume.PLAN, Path(sys.argv[1]), objective=slow)
except Interrupted:
    sys.exit(7)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no SIGINT to one process")
@pytest.mark.numpy_only("the process that gets the signal runs on NumPy")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_real_signal_leaves_a_checkpoint_to_go_on_from(number, tmp_path):
    path, root = tmp_path / "checkpoint", Path(__file__).parents[1]
    command = [sys.executable, "-c", INTERRUPTED, str(path)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"step\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 7, errors.decode()
    assert problems.same_bits(session(problems.mlp, PLAN, path)[0], session(problems.mlp)[0])
