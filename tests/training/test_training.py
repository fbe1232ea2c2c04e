import contextlib
import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from minikd import losses, metrics, optim
from minikd.backends import to_host
from minikd.data import Augmentation, Views, epoch_order
from minikd.errors import ConfigError, Diverged
from minikd.methods import Labels
from minikd.training import Callback, Checkpoint, Evaluation, History, Plan, callbacks, fit, loop, parallel
from minikd.training.inference import logits_of
from minikd.training.parallel import workers
from minikd.training.run import Run
from tests import problems

PLAN = Plan(epochs=2, batch_size=4, learning_rate=0.05)
"""On ten images: batches of 4, 4 and 2, twice."""


def trained(model, plan=PLAN, views=None, objective=None, callbacks=()):
    """Train a model; `objective` is a function of logits and batch, cross-entropy by default."""
    views = problems.views() if views is None else views
    fit(model, views, problems.Asked(objective) if objective else Labels(), plan, callbacks)
    return model


class Recorder(Callback):
    """Writes down which hooks were called."""

    def __init__(self):
        self.told = []

    def on_start(self, run):
        self.told.append(("start", run.name, run.plan.epochs, len(run.views), run.position.epoch, run.position.images))

    def on_step(self, run, taken):
        self.told.append(("step", taken.images))

    def on_epoch(self, run):
        self.told.append(("epoch", run.position.history[-1]["epoch"]))

    def on_stop(self, run):
        self.told.append(("stop",))

    def on_end(self, run):
        self.told.append(("end",))


@pytest.mark.parametrize("make", [problems.mlp, problems.cnn])
def test_a_network_learns_and_knows_images_it_has_not_seen(make):
    model, train = make(), problems.views(60)
    rows = fit(model, train, Labels(), Plan(epochs=6, batch_size=10, learning_rate=0.02))
    test = problems.views(30, seed=1)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    assert metrics.accuracy(logits_of(model, test, map), test.labels) > 0.95


@pytest.mark.parametrize("make", [lambda: problems.mlp(dropout=0.5), problems.cnn])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(make):
    assert problems.same_bits(trained(make()), trained(make()))
    assert not problems.same_bits(trained(make()), trained(make(), replace(PLAN, seed=1)))


@pytest.mark.parametrize("make", [lambda: problems.mlp(dropout=0.5), lambda: problems.cnn(norm=False), problems.cnn])
@pytest.mark.parametrize("shards", [2, 4])
def test_the_bits_do_not_depend_on_the_number_of_threads(make, shards, monkeypatch):
    models, plan = [], replace(PLAN, batch_size=7, shards=shards)
    for threads in (1, 2, 4):
        monkeypatch.setattr(parallel, "cores", lambda threads=threads: threads)
        models.append(trained(make(), plan))
    assert problems.same_bits(models[0], models[1])
    assert problems.same_bits(models[0], models[2])


def test_shards_meet_on_as_many_threads():
    """Each shard waits for the other: on one thread nobody would come."""
    meeting = threading.Barrier(2, timeout=10)

    def objective(logits, batch):
        meeting.wait()
        return losses.cross_entropy(logits, batch.labels)

    with workers(2) as map_:
        run = Run(problems.mlp(), problems.views(), problems.Asked(objective), PLAN)
        run.threads = map_
        loop.step(run, np.arange(4), 0.1)
    assert not meeting.broken


@pytest.mark.parametrize("shards", [2, 3, 7, 50])
def test_the_sum_of_the_shards_is_the_gradient_of_the_batch(shards):
    """A batch of seven in three shards: 3, 2, 2, each with its share of the mean."""
    plan = replace(PLAN, batch_size=7, optimizer="sgd", momentum=0.0)
    whole = trained(problems.cnn(norm=False), replace(plan, shards=1))
    model = trained(problems.cnn(norm=False), replace(plan, shards=shards))
    np.testing.assert_allclose(model.vector, whole.vector, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("make", "sizes"), [(problems.cnn, [4, 4, 2]), (problems.mlp, [2, 2, 2, 2, 1, 1])])
def test_a_batch_is_cut_unless_a_layer_looks_across_it(make, sizes, monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    seen = []

    def objective(logits, batch):
        seen.append(len(logits))
        return losses.cross_entropy(logits, batch.labels)

    trained(make(), replace(PLAN, epochs=1), objective=objective)
    assert seen == sizes


def test_the_shards_of_a_step_draw_masks_of_their_own():
    model = problems.mlp(dropout=0.5, hidden=64)
    twice = problems.views(1)
    twice = Views(twice.images.repeat(2, 0), twice.labels.repeat(2), twice.mean, twice.std)
    run, masks = Run(model, twice, Labels(), PLAN), []
    for _ in range(2):
        taken = loop.step(run, np.arange(2), 0.0)
        run.advance(taken.loss, taken.images)
        masks += [shard.cache[3].m for shard in taken.shards]
    assert len({mask.tobytes() for mask in masks}) == 4


def test_an_epochs_loss_is_the_mean_over_its_images():
    """Batches of 4, 4 and 2: the mean of the three batches' means would be another number."""
    model, views = problems.mlp(), problems.views()
    row = fit(model, views, Labels(), replace(PLAN, epochs=1, learning_rate=0.0, schedule="constant"))[0]
    each = [losses.cross_entropy(model(views.clean(slice(i, i + 1))), views.labels[i : i + 1])[0] for i in range(10)]
    assert row["loss"] == pytest.approx(np.mean(each), rel=1e-5)


def test_a_gradient_is_cut_to_the_largest_norm():
    plan = Plan(epochs=1, batch_size=10, optimizer="sgd", momentum=0.0, learning_rate=0.5, schedule="constant")
    lengths = {}
    for clip in (0.0, 0.01, 1e6):
        model = problems.mlp()
        before = model.vector.copy()
        lengths[clip] = np.linalg.norm(trained(model, replace(plan, clip_norm=clip)).vector - before)
    assert lengths[0.01] == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert lengths[0.0] == lengths[1e6] > 0.1


def test_every_units_incoming_weights_are_cut_to_the_largest_length():
    plan = Plan(epochs=1, batch_size=5, optimizer="sgd", momentum=0.0, learning_rate=0.5, schedule="constant")
    free, cut = (trained(problems.cnn(norm=False), replace(plan, max_norm=limit)) for limit in (0.0, 0.5))
    for name, value in cut.params.items():
        lengths = np.linalg.norm(to_host(value).reshape(len(value), -1), axis=1)
        if name.endswith("bias"):
            assert np.abs(lengths).max() > 0
        else:
            assert lengths.max() == pytest.approx(0.5, rel=1e-5)
            assert np.linalg.norm(to_host(free.params[name]).reshape(len(value), -1), axis=1).max() > 0.55


def test_the_learning_rate_follows_the_schedule_from_step_to_step(monkeypatch):
    used, real = [], optim.Adam.step
    monkeypatch.setattr(optim.Adam, "step", lambda *arguments: used.append(arguments[-1]) or real(*arguments))
    rows = fit(problems.mlp(), problems.views(), Labels(), replace(PLAN, schedule="cosine"))
    wanted = [0.05 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]
    assert used == pytest.approx(wanted)
    assert [row["learning_rate"] for row in rows] == [used[2], used[5]]


def test_each_epoch_sees_every_image_once_in_an_order_of_its_own():
    seen = []

    def objective(logits, batch):
        seen.extend(batch.index.tolist())
        return losses.cross_entropy(logits, batch.labels)

    trained(problems.mlp(), replace(PLAN, shards=1), objective=objective)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_running_statistics_move_once_a_step():
    model = trained(problems.cnn())
    assert model.state["1.num_batches_tracked"] == 6
    assert model.state["1.running_mean"].any()


def test_the_model_is_evaluated_after_each_epoch_with_its_weights_of_then():
    seen = []

    def evaluate(model, map_):
        seen.append(model.vector.copy())
        return Evaluation(0.25, 1.5, "validation")

    model = problems.mlp()
    rows = fit(model, problems.views(), Labels(), PLAN, [History(evaluate=evaluate)])
    assert [(row["accuracy"], row["nll"], row["evaluated_on"]) for row in rows] == [(0.25, 1.5, "validation")] * 2
    assert np.array_equal(seen[1], model.vector)
    assert not np.array_equal(seen[0], model.vector)


def test_a_callback_hears_of_every_step_every_epoch_and_the_end():
    recorder, histories = Recorder(), []
    history = History("student", record=lambda rows: histories.append(len(rows)))
    trained(problems.mlp(), callbacks=[history, recorder])
    steps = [("step", 4), ("step", 4), ("step", 2)]
    assert recorder.told == [("start", "student", 2, 10, 0, 0), *steps, ("epoch", 1), *steps, ("epoch", 2), ("end",)]
    assert histories == [1, 2]


@pytest.mark.parametrize("broken", ["stop", "diverge"])
def test_a_callback_hears_of_a_bad_end_too(broken, monkeypatch):
    recorder = Recorder()
    if broken == "stop":
        monkeypatch.setattr(loop, "stop_requests", problems.stop_after(2))
    with pytest.raises((KeyboardInterrupt, Diverged)):
        trained(problems.mlp(), callbacks=[recorder], objective=nan_from(1) if broken == "diverge" else None)
    assert recorder.told[-1] == ("end",)
    assert (("stop",) in recorder.told) == (broken == "stop")


def test_a_callback_may_put_another_network_into_the_step():
    """As training on rounded weights does: forward and backward by the copy, the step by the model's own weights."""

    class Rounded(Callback):
        def on_start(self, run):
            run.network = run.model.copy()

        def on_step_start(self, run):
            run.network.vector[...] = np.round(run.model.vector, 1)

    plan = replace(PLAN, epochs=1, batch_size=10, shards=1, optimizer="sgd", momentum=0.0, schedule="constant")
    model, views, expected = problems.mlp(), problems.views(), problems.mlp()
    trained(model, plan, views, callbacks=[Rounded()])
    rounded = expected.copy()
    rounded.vector[...] = np.round(expected.vector, 1)
    order = epoch_order(10, 10, 0, 0)[0]
    logits, cache = rounded.forward(views.batch(0, order).images, True)
    gradient = rounded.flat_gradient(
        rounded.parameter_gradients(losses.cross_entropy(logits, views.labels[order])[1], cache)
    )
    np.testing.assert_allclose(model.vector, expected.vector - np.float32(0.05) * gradient, rtol=1e-6, atol=1e-7)


def nan_from(step, of="loss"):
    """Return cross-entropy whose loss or gradient is NaN from that step on (with one shard a step)."""
    counter = iter(range(1000))

    def objective(logits, batch):
        loss, dlogits = losses.cross_entropy(logits, batch.labels)
        broken = math.nan if next(counter) >= step else 1.0
        return (loss * broken, dlogits) if of == "loss" else (loss, dlogits * broken)

    return objective


@pytest.mark.parametrize("of", ["loss", "gradient"])
def test_nan_stops_training_and_the_last_good_checkpoint_stays(of, tmp_path, monkeypatch):
    """The gradient of an epoch's last step breaks weights that no loss of that epoch has seen."""
    monkeypatch.setattr(callbacks, "SAVE_SECONDS", -1.0)
    path, plan = tmp_path / "checkpoint", replace(PLAN, shards=1)
    with pytest.raises(Diverged, match=r"model: .*(loss|weight) became .*in epoch 2.*lower the learning rate"):
        trained(problems.mlp(), plan, callbacks=[Checkpoint(path)], objective=nan_from(5, of))
    resumed, sizes = problems.mlp(), Recorder()
    trained(resumed, plan, callbacks=[Checkpoint(path), sizes])
    assert sizes.told[0] == ("start", "model", 2, 10, 1, 0)
    assert problems.same_bits(resumed, trained(problems.mlp(), plan))


def test_nan_is_found_before_the_end_of_a_long_epoch(monkeypatch):
    monkeypatch.setattr(loop, "CHECK_EVERY", 2)
    with pytest.raises(Diverged, match=r"the loss became nan in epoch 1, at or before step 2,"):
        trained(problems.mlp(), replace(PLAN, shards=1), objective=nan_from(1))


def test_a_learning_rate_that_is_much_too_high_is_found():
    with pytest.raises(Diverged, match=r"learning rate 1e\+30"):
        trained(problems.mlp(), replace(PLAN, optimizer="sgd", learning_rate=1e30, schedule="constant"))


@pytest.mark.parametrize("fails", [False, True])
def test_blas_has_one_thread_inside_and_its_own_again_after(fails):
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    inside = []

    def objective(logits, batch):
        inside.append(threads())
        if fails:
            raise ZeroDivisionError
        return losses.cross_entropy(logits, batch.labels)

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext():
            trained(problems.mlp(), objective=objective)
        assert threads() == before
    assert all(found == {1} for found in inside)


@pytest.mark.parametrize("at_a_time", [1, 3, 500])
def test_logits_are_those_of_clean_images_in_evaluation_whatever_the_batches(at_a_time, monkeypatch):
    monkeypatch.setattr("minikd.training.inference.LOOK_AT", at_a_time)
    model = trained(problems.cnn())
    views = problems.views(augmentation=Augmentation(shift=2))
    with workers(2) as map_:
        found = logits_of(model, views, map_)
    np.testing.assert_allclose(found, model(views.clean()), rtol=1e-5, atol=1e-6)


def test_no_images_are_refused():
    with pytest.raises(ConfigError, match="no training images"):
        trained(problems.mlp(), views=Views(np.zeros((0, 1, 6, 6), np.uint8), np.zeros(0, int), (0.5,), (1.0,)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", 0), ("batch_size", 0), ("shards", 0), ("epochs", 2.5), ("batch_size", 1.5), ("seed", -1)),
        *(
            ("seed", 0.5),
            ("clip_norm", -1.0),
            ("clip_norm", math.nan),
            ("max_norm", -1.0),
            ("warm_up", -1.0),
            ("warm_up", math.inf),
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}, but must"):
        Plan(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("optimizer", "adagrad"), ("schedule", "linear"), ("learning_rate", -1)])
def test_an_unknown_optimiser_schedule_or_rate_is_refused_before_the_first_step(name, value):
    model = problems.mlp()
    before = model.vector.copy()
    with pytest.raises(ConfigError, match=str(value)):
        trained(model, replace(PLAN, **{name: value}))
    assert np.array_equal(model.vector, before)
