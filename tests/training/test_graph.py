"""A run whose steps are CUDA graphs has the bits of the run whose steps are taken one by one."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from minikd import models
from minikd.backends import Backend, to_host
from minikd.console.notices import Notice
from minikd.data import Augmentation, Views
from minikd.distillation.teacher import LiveTeacher, teacher_for
from minikd.errors import Diverged
from minikd.methods import METHODS, Labels, LogitObjective, SoftTargets, build
from minikd.nn import BatchNorm1d, Dropout, Flatten, Linear, ReLU, Sequential
from minikd.training import Callback, Checkpoint, Interrupted, Plan, fit, graph
from minikd.training.callbacks import NoGraph
from minikd.training.checkpoints import Position
from minikd.training.loop import step
from minikd.training.objective import Answer
from minikd.training.run import Run
from tests import problems
from tests.methods.makers import convolutional, objective_of, smooth

DEVICE = Backend("cupy", "")
PLAN = Plan(epochs=4, batch_size=8, shards=1, seed=3)


@pytest.fixture(autouse=True)
def on_a_device(counters):
    """A graph is captured on a device only."""


def images(count=36):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 1, 6, 6), np.uint8)
    return Views(pixels, rng.integers(0, 3, count), (0.4,), (0.3,))


def mlp(*extra):
    rng = np.random.default_rng(1)
    return Sequential(Flatten(), Linear(36, 7, rng), *extra, ReLU(), Linear(7, 3, rng)).to(DEVICE)


class Losses(Callback):
    """Keeps each step's loss, and the norm of its gradient."""

    def __init__(self):
        self.seen = []

    def on_step(self, run, taken):
        self.seen.append((float(taken.loss), float((taken.gradient * taken.gradient).sum())))


class Before(Losses):
    """Has work before each step, so that no step is a graph."""

    def on_step_start(self, run):
        pass


def trained(model, objective, plan, kind, views=None):
    model, seen = model.copy(), kind()
    history = fit(model, views or images(), objective, plan, [seen])
    rows = [{name: value for name, value in row.items() if "second" not in name and name != "steps"} for row in history]
    return {name: to_host(value).tobytes() for name, value in model.state_dict().items()}, rows, seen.seen


@pytest.fixture
def launches(monkeypatch):
    """How many steps were graphs."""
    found = []
    captured = graph.StepTaker.captured

    def counting(self, index):
        made = captured(self, index)
        launch = made.launch

        def counted():
            found.append(len(index))
            launch()

        self.graphs[len(index)] = made._replace(launch=counted)
        return self.graphs[len(index)]

    monkeypatch.setattr(graph.StepTaker, "captured", counting)
    return found


def same_bits(model, objective, plan, launches, expected=18, views=None):
    eager = trained(model, objective, plan, Before, views)
    assert not launches
    as_graph = trained(model, objective, plan, Losses, views)
    assert len(launches) == expected
    assert repr(as_graph) == repr(eager)


def test_a_student_on_labels(launches):
    """Of four epochs, each of four batches of 8 and one of 4: two of each length are taken one by one."""
    same_bits(mlp(), Labels(), PLAN, launches, 14 + 2)


def student(views):
    """A student with a teacher that looks at each batch, or has looked at all images."""
    teacher = mlp(BatchNorm1d(7))
    return LogitObjective(SoftTargets(), teacher_for(teacher, views, map))


def test_a_student_of_a_cached_teacher(launches):
    same_bits(mlp(), student(images()), PLAN, launches, 16)


def test_a_student_of_a_live_teacher(launches):
    same_bits(mlp(), LogitObjective(SoftTargets(), LiveTeacher(mlp(BatchNorm1d(7)))), PLAN, launches, 16)


def test_dropout_and_batch_norm(launches):
    same_bits(mlp(BatchNorm1d(7), Dropout(0.4)), Labels(0.1), PLAN, launches, 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "weight_decay": 0.05},
        {"optimizer": "sgd", "weight_decay": 0.05, "learning_rate": 0.1},
        {"optimizer": "nesterov", "learning_rate": 0.01},
        {"optimizer": "sgd", "momentum": 0.0},
        {"clip_norm": 0.5},
        {"max_norm": 0.8},
    ],
    ids=str,
)
def test_optimisers(changes, launches):
    same_bits(mlp(), Labels(), replace(PLAN, **changes), launches, 16)


def test_a_convolutional_teacher(launches):
    model = models.teacher("cnn", (1, 8, 8), 3, np.random.default_rng(0), 0.2).to(DEVICE)
    rng = np.random.default_rng(0)
    views = Views(rng.random((20, 1, 8, 8), np.float32), rng.integers(0, 3, 20), (0.4,), (0.3,))
    same_bits(model, Labels(), replace(PLAN, epochs=2), launches, 2, views)


VARIED = [
    Augmentation(shift=2, rotation=30, scale=0.3),
    Augmentation(shift=9),
    Augmentation(elastic=1.5, elastic_smoothing=2.0),
    Augmentation(shift=1, rotation=15, scale=0.1, elastic=1.0),
]


@pytest.mark.parametrize("augmentation", VARIED[:2], ids=str)
def test_augmented_images_have_the_bits_of_the_hosts(augmentation, launches):
    same_bits(mlp(), Labels(), PLAN, launches, 16, replace(images(), augmentation=augmentation))


@pytest.mark.parametrize("augmentation", VARIED, ids=str)
@pytest.mark.parametrize(("channels", "stored"), [(1, np.uint8), (3, np.float32)])
def test_a_fed_batch_is_the_hosts_batch(augmentation, channels, stored):
    """In the second epoch, from its second batch on. Elastic displacements are sums in another order."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (36, channels, 7, 5)).astype(stored) / (255 if stored == np.float32 else 1)
    numbers = [0.4] * channels, [0.3] * channels
    views = Views(pixels.astype(stored), rng.integers(0, 3, 36), *map(tuple, numbers), augmentation, seed=5)
    model = Sequential(Flatten(), Linear(35 * channels, 3, rng)).to(DEVICE)
    run = Run(model, views, Labels(), PLAN)
    taker = graph.StepTaker(run, step, ())
    run.position = Position(epoch=1, step=6, batch=1)
    index = run.batches_left()[0]
    taker.prepare(len(index))
    fed, expected = taker.feed.batch(), views.batch(1, index)
    np.testing.assert_array_equal(to_host(fed.index), expected.index)
    np.testing.assert_array_equal(to_host(fed.labels), expected.labels)
    within = 1e-4 if augmentation.elastic else 0
    np.testing.assert_allclose(to_host(fed.images), expected.images, rtol=0, atol=within)
    assert not np.allclose(expected.images, views.clean(index), atol=0.1)


def test_an_elastic_step_is_captured_too(launches):
    views = replace(images(), augmentation=VARIED[3])
    same = [trained(mlp(), Labels(), PLAN, Losses, views) for _ in range(2)]
    assert repr(same[0]) == repr(same[1])
    assert len(launches) == 2 * 16
    np.testing.assert_allclose(same[0][2], trained(mlp(), Labels(), PLAN, Before, views)[2], rtol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_captured_or_says_why_not(name, launches):
    """A batch of 5 in the last place, so that what is relative to a batch meets another length."""
    views, layers = problems.views(13, dtype=np.float32), {"teacher_layer": "0"} if name == "attention_transfer" else {}
    student = convolutional() if name == "attention_transfer" else smooth()
    student, teacher = student.astype("float32").to(DEVICE), problems.cnn(norm=False).to(DEVICE)
    plan = replace(PLAN, epochs=3)
    made = [objective_of(name, student.copy(), [teacher], views, **layers) for _ in range(2)]
    reason = build(name, {}).eager
    assert (name, reason) == (name, made[0].eager)
    if reason:
        assert " " in reason
        fit(student.copy(), views, made[0], plan, [Losses()])
        assert not launches
        return
    eager = trained(student, made[0], plan, Before, views)
    as_graph = trained(student, made[1], plan, Losses, views)
    assert len(launches) == 2, "the third epoch's steps, one of each length"
    assert repr(as_graph) == repr(eager)


class StopAt(Losses):
    """Asks for a stop as Ctrl-C does, after so many steps."""

    def __init__(self, step=0):
        super().__init__()
        self.at = step

    def on_step(self, run, taken):
        super().on_step(run, taken)
        if run.position.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("stop", [1, 7, 10, 14])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(stop, launches, tmp_path):
    """Stopped before its first graph, within an epoch, and at an epoch's end."""
    model = mlp(BatchNorm1d(7), Dropout(0.4))
    whole, halves = model.copy(), [model.copy(), model.copy()]
    fit(whole, images(), Labels(), PLAN, [Before()])
    with pytest.raises(Interrupted):
        fit(halves[0], images(), Labels(), PLAN, [Checkpoint(tmp_path / "x", "x"), StopAt(stop)])
    fit(halves[1], images(), Labels(), PLAN, [Checkpoint(tmp_path / "x", "x"), Losses()])
    assert launches
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(to_host(halves[1].state_dict()[name]), to_host(value), err_msg=name)


def test_a_loss_that_runs_away_is_caught(launches):
    with pytest.raises(Diverged):
        fit(mlp(), images(), Labels(), replace(PLAN, optimizer="sgd", learning_rate=1e20), [Losses()])
    assert launches


def test_a_step_that_cannot_be_captured_is_told_once_and_taken_one_by_one(launches):
    class Asks(Labels):
        eager = ""

        def terms(self, student, teacher, batch, step):
            assert np.isfinite(float(student.logits.sum()))
            return super().terms(student, teacher, batch, step)

    eager = trained(mlp(), Asks(), PLAN, Before)
    with pytest.warns(Notice, match="one by one, not as a CUDA graph") as told:
        found = trained(mlp(), Asks(), PLAN, Losses)
    assert len(told) == 1
    assert not launches
    assert repr(found) == repr(eager)


def test_a_step_that_copies_from_the_host_is_not_captured(launches):
    class Copies(Labels):
        eager = ""

        def terms(self, student, teacher, batch, step):
            there = DEVICE.put(np.zeros(3, np.float32))
            return super().terms(Answer(student.logits + there), teacher, batch, step)

    with pytest.warns(Notice, match="copied from the host"):
        trained(mlp(), Copies(), PLAN, Losses)
    assert not launches


def test_an_objective_of_ones_own_is_captured_only_where_it_says_so(launches):
    """What it was derived from may be captured; what it adds may differ from step to step."""

    class Growing(Labels):
        def terms(self, student, teacher, batch, step):
            return [term._replace(weight=step.progress) for term in super().terms(student, teacher, batch, step)]

    fit(mlp(), images(), Growing(), PLAN, [Losses()])
    assert not launches


def without_label(run):
    run.views.labels[3] = -1


def with_a_label_too_many(run):
    run.views.labels[3] = 3


def with_an_optimiser_from_outside(run):
    run.optimizer = object()


def with_a_layer_from_outside(run):
    class Mine(ReLU):
        pass

    run.network = Sequential(Sequential(Mine()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_label, "some images have no label"),
        (with_a_label_too_many, "some labels are beyond the model's classes"),
        (with_an_optimiser_from_outside, "the optimiser object is not one of minikd's"),
        (with_a_layer_from_outside, "the layer Mine is not one of minikd's"),
    ],
)
def test_a_run_whose_steps_are_no_graphs_says_why(change, words):
    run = Run(mlp(), images(), Labels(), PLAN)
    assert graph.reason_for_none(run, ()) == ""
    change(run)
    assert graph.reason_for_none(run, ()).startswith(words)


def test_images_that_would_fill_the_device_are_left_on_the_host(monkeypatch):
    monkeypatch.setattr(graph, "SHARE", 0.0)
    assert "of the device's memory" in graph.reason_for_none(Run(mlp(), images(), Labels(), PLAN), ())


def test_no_graph_is_taken_where_none_is_wanted(launches):
    fit(mlp(), images(), Labels(), PLAN, [Losses(), NoGraph()])
    assert not launches


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    [([], "graph"), ([NoGraph()], "eager"), ([Before()], "eager")],
    ids=["none", "NoGraph", "a hook before steps"],
)
def test_the_history_says_how_the_steps_of_each_epoch_were_taken(callbacks, expected):
    rows = fit(mlp(), images(), Labels(), PLAN, callbacks)
    assert [row["steps"] for row in rows] == [expected] * PLAN.epochs


def test_the_history_says_from_when_on_a_step_could_not_be_captured():
    class Asks(Labels):
        eager = ""

        def terms(self, student, teacher, batch, step):
            if step.progress > 0.5:
                float(student.logits.sum())
            return super().terms(student, teacher, batch, step)

    with pytest.warns(Notice, match="one by one, not as a CUDA graph"):
        rows = fit(mlp(), images(32), Asks(), replace(PLAN, batch_size=32))
    assert [row["steps"] for row in rows] == ["graph", "graph", "eager", "eager"]


def test_a_graph_copies_nothing_and_asks_for_nothing_of_the_host(counters):
    """Within an epoch, once both lengths are captured: replays alone, which the stand-in counts as no launch."""

    class Counts(Callback):
        seen = ()

        def on_step(self, run, taken):
            now = counters()
            if run.position.epoch == 3 and run.position.batch > 2:
                spent = {name: now[name] - self.seen[name] for name in ("h2d", "d2h", "launches", "mallocs")}
                assert spent == {"h2d": 0, "d2h": 0, "launches": 0, "mallocs": 0}
            self.seen = now

    fit(mlp(Dropout(0.3)), images(), Labels(), PLAN, [Counts()])
