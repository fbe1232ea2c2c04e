"""Terms added up, objectives that train something of their own, and what is told of the terms."""

import math
from dataclasses import replace

import numpy as np
import pytest

from minikd import losses, nn
from minikd.errors import ConfigError
from minikd.losses.weighted import weighted_sum
from minikd.methods import Hint, Labels, Pair
from minikd.training import Checkpoint, Plan, callbacks, fit, parallel
from minikd.training import loop as training
from minikd.training.loop import step
from minikd.training.objective import Objective, Step, Term, add_up
from minikd.training.run import Run
from tests import problems

PLAN = Plan(epochs=2, batch_size=4, learning_rate=0.05)


def rng(seed=0):
    return np.random.default_rng(seed)


class Toward(Objective):
    """Cross-entropy, and half the squared distance of the hidden layer from a vector that is trained too."""

    taps = ("2",)

    def __init__(self, weight=0.5, hidden=8):
        super().__init__()
        self.weight, self.seen = weight, []
        self.extra_parameters = nn.layer.Layer()
        self.extra_parameters.params["goal"] = np.ones(hidden, np.float32)

    def terms(self, student, teacher, batch, step):
        gap, N = student.taps["2"] - self.extra_parameters.params["goal"], len(student.logits)
        self.seen.append((N, step.progress))
        loss = (gap * gap).sum() * (0.5 / N)
        hard = Term("hard", 1.0, *losses.cross_entropy(student.logits, batch.labels))
        return hard, Term("feature", self.weight, loss, None, {"2": gap / N}, {"goal": -gap.sum(0) / N})


class Whole(Toward):
    across_batch = True


def test_terms_are_added_up_with_their_weights_once():
    draw = rng()
    z, a, b, t, g = (draw.standard_normal((2, 3)) for _ in range(5))
    terms = (
        Term("hard", 2.0, 3.0, a, {"1": t}),
        Term("soft", 0.5, 4.0, b, {"1": t, "0": a}, {"w": g}),
        Term("feature", 3.0, 1.0, None, {"0": b}, {"w": g}),
    )
    for share in (1.0, 0.25):
        loss, dlogits, dtaps, grads = add_up(terms, z, share)
        assert loss == pytest.approx(share * 11)
        np.testing.assert_allclose(dlogits, share * (2 * a + b / 2))
        np.testing.assert_allclose(dtaps["1"], share * 2.5 * t)
        np.testing.assert_allclose(dtaps["0"], share * (a / 2 + 3 * b))
        np.testing.assert_allclose(grads["w"], share * 3.5 * g)


def test_a_single_term_of_weight_one_is_handed_on_as_it_is():
    loss, dlogits = np.float32(2), np.ones((2, 3), np.float32)
    total = add_up((Term("hard", 1.0, loss, dlogits),), dlogits, 1.0)
    assert total.loss is loss
    assert total.dlogits is dlogits


def test_terms_without_logits_leave_them_alone():
    z = np.ones((2, 3), np.float32)
    total = add_up((Term("feature", 1.0, 2.0, None, {"0": z}),), z, 1.0)
    assert not total.dlogits.any()
    assert total.dlogits.dtype == np.float32


def test_the_weighted_sum_keeps_float32():
    parts = [(0.25, np.ones(2, np.float32)), (0.5, np.ones(2, np.float32)), (2.0, np.ones(2, np.float32))]
    assert weighted_sum(parts).dtype == np.float32
    assert weighted_sum(parts).tolist() == [2.75, 2.75]
    assert isinstance(weighted_sum([(0.5, np.float32(2)), (0.5, np.float32(4))]), np.float32)


def loss_of(model, objective, views, index):
    """The objective's loss of a batch in evaluation, a function of the model's vector and the objective's own."""
    batch = views.batch(0, index)
    return problems.total_of(model, objective, batch, Step(0.0, rng())).loss


@pytest.mark.parametrize("shards", [1, 3])
def test_a_steps_gradient_is_the_derivative_of_its_loss_by_model_and_objective(shards):
    """By differences along a random direction through the one vector that is trained."""
    model, objective = problems.mlp().astype("float64"), Toward()
    objective.extra_parameters = objective.extra_parameters.astype("float64")
    views, index = problems.views(dtype=np.float64), np.arange(7)
    run = Run(model, views, objective, replace(PLAN, shards=shards, batch_size=7))
    assert run.vector.size == model.size + 8
    start = run.vector.copy()
    gradient = step(run, index, 0.0).gradient
    along, eps, sides = rng(1).standard_normal(run.vector.size), 1e-6, []
    for sign in (1, -1):
        run.vector[:] = start + sign * eps * along
        sides.append(loss_of(model, objective, views, index))
    assert gradient @ along == pytest.approx((sides[0] - sides[1]) / (2 * eps), rel=1e-7)
    assert np.abs(gradient[model.size :]).min() > 0


def test_a_gradient_of_what_is_not_trained_is_refused():
    """A name misspelt would leave a regressor as it was."""

    class Misspelt(Toward):
        def terms(self, *arguments):
            hard, feature = super().terms(*arguments)
            return hard, feature._replace(grads={"gaol": feature.grads["goal"]})

    with pytest.raises(ConfigError, match=r"gradients with respect to \['gaol'\], but trains \['goal'\]"):
        fit(problems.mlp(), problems.views(), Misspelt(), PLAN)


def test_what_an_objective_trains_is_trained_and_the_model_keeps_its_vector():
    model, objective = problems.mlp(), Toward()
    vector, before, goal = model.vector, model.vector.copy(), objective.extra_parameters.params["goal"].copy()
    fit(model, problems.views(), objective, PLAN)
    assert model.vector is vector
    assert vector.shape == before.shape
    assert not np.array_equal(vector, before)
    assert not np.isclose(objective.extra_parameters.params["goal"], goal).any()
    assert all(np.shares_memory(value, vector) for value in model.params.values())


def test_the_model_keeps_its_vector_when_training_fails(monkeypatch, tmp_path):
    model = problems.mlp()
    vector = model.vector
    monkeypatch.setattr(training, "stop_requests", problems.stop_after(2))
    with pytest.raises(training.Interrupted):
        fit(model, problems.views(), Toward(), PLAN, [Checkpoint(tmp_path / "checkpoint")])
    assert model.vector is vector
    assert np.shares_memory(model.params["1.weight"], vector)


@pytest.mark.parametrize("looks", [1, 4, 5, 7])
def test_what_an_objective_trains_survives_a_stop(looks, tmp_path, monkeypatch):
    """The goal, its moments in Adam and the telemetry of the epoch under way go on where they were."""
    path, whole, wanted = tmp_path / "checkpoint", problems.mlp(), Toward()
    rows = fit(whole, problems.views(), wanted, PLAN)
    with monkeypatch.context() as patch:
        patch.setattr(training, "stop_requests", problems.stop_after(looks))
        with pytest.raises(training.Interrupted):
            fit(problems.mlp(), problems.views(), Toward(), PLAN, [Checkpoint(path)])
    model, objective = problems.mlp(), Toward()
    resumed = fit(model, problems.views(), objective, PLAN, [Checkpoint(path)])
    assert problems.same_bits(model, whole)
    assert objective.extra_parameters.params["goal"].tobytes() == wanted.extra_parameters.params["goal"].tobytes()
    for name in ("hard_loss", "hard_gradient", "feature_loss", "feature_gradient"):
        assert [row[name] for row in resumed] == [row[name] for row in rows]


def test_the_norm_that_is_clipped_is_that_of_all_that_is_trained():
    model, objective = problems.mlp(), Toward(weight=100.0)
    before = np.concatenate([model.vector, objective.extra_parameters.params["goal"]])
    plan = Plan(epochs=1, batch_size=10, optimizer="sgd", momentum=0.0, learning_rate=0.5, schedule="constant")
    fit(model, problems.views(), objective, replace(plan, clip_norm=0.01))
    after = np.concatenate([model.vector, objective.extra_parameters.params["goal"]])
    assert np.linalg.norm(after - before) == pytest.approx(0.5 * 0.01, rel=1e-3)


@pytest.mark.parametrize(("kind", "sizes"), [(Toward, {1, 2}), (Whole, {4, 2})])
def test_a_batch_is_cut_unless_the_objective_looks_across_it(kind, sizes, monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    objective = kind()
    fit(problems.mlp(), problems.views(), objective, replace(PLAN, shards=2))
    assert {size for size, _ in objective.seen} == sizes


def test_progress_goes_from_0_to_1_step_by_step():
    objective = Toward()
    fit(problems.mlp(), problems.views(), objective, replace(PLAN, shards=1))
    assert [progress for _, progress in objective.seen] == [step / 5 for step in range(6)]


def test_dropout_and_the_objective_draw_from_one_stream_that_a_stop_does_not_change():
    drawn = []

    class Draws(Labels):
        def terms(self, student, teacher, batch, step):
            drawn.append(step.rng.random())
            return super().terms(student, teacher, batch, step)

    for _ in range(2):
        fit(problems.mlp(dropout=0.5), problems.views(), Draws(), replace(PLAN, shards=1))
    assert drawn[:6] == drawn[6:]
    assert len(set(drawn[:6])) == 6


class Three(Objective):
    """A hard, a soft and a feature term with weights."""

    taps = ("2",)

    def terms(self, student, teacher, batch, step):
        logits = student.logits
        soft = losses.kl_divergence(logits, np.roll(logits, 1, 1).astype(logits.dtype) * 2, 3.0)
        gap = student.taps["2"] - 1
        return (
            Term("hard", 0.3, *losses.cross_entropy(logits, batch.labels)),
            Term("soft", 0.7, *soft),
            Term("feature", 2.0, (gap * gap).sum() / len(gap), None, {"2": gap * (2 / len(gap))}),
            Term("other", 5.0, logits.sum() * 0, None),
        )


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_telemetry_is_what_the_terms_of_the_whole_batch_are(shards):
    """One batch an epoch, computed here at once from the first weights."""
    model, views = problems.mlp(), problems.views()
    batch = views.batch(0, np.arange(10))
    hard, soft, feature, _ = problems.terms_of(model, Three(), batch, None)[0]
    row = fit(model, views, Three(), replace(PLAN, batch_size=10, epochs=1, shards=shards))[0]
    for term, gradient in ((hard, hard.dlogits), (soft, soft.dlogits), (feature, feature.dtaps["2"])):
        assert row[f"{term.name}_loss"] == pytest.approx(term.weight * term.loss, rel=1e-5)
        assert row[f"{term.name}_gradient"] == pytest.approx(term.weight * np.linalg.norm(gradient), rel=1e-5)
    a, b = hard.dlogits.ravel(), soft.dlogits.ravel()
    assert row["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-4)
    assert row["hard_loss"] + row["soft_loss"] + row["feature_loss"] == pytest.approx(row["loss"], rel=1e-5)


@pytest.mark.parametrize("shards", [1, 5])
def test_a_shard_without_a_label_has_no_hard_term_and_counts_as_0(shards):
    """One label in ten images: four of the five shards have none."""
    views, model = problems.views(), problems.mlp()
    labels = np.full(10, -1)
    labels[3] = views.labels[3]
    views = replace(views, labels=labels)
    row = fit(
        model,
        views,
        problems.distillation_objective(problems.cnn(), views),
        replace(PLAN, epochs=1, batch_size=10, shards=shards),
    )[0]
    alone = losses.cross_entropy(problems.mlp()(views.clean(slice(3, 4))), labels[3:4])[0]
    assert row["hard_loss"] == pytest.approx(0.1 * alone / 10, rel=1e-4)
    assert row["hard_loss"] + row["soft_loss"] == pytest.approx(row["loss"], rel=1e-5)
    assert abs(row["cosine"]) <= 1


def test_looking_changes_nothing_that_is_trained(monkeypatch):
    models = []
    for every in (1, 2, 10**6):
        monkeypatch.setattr(callbacks, "MEASURE_EVERY", every)
        models.append(problems.mlp(dropout=0.5))
        fit(models[-1], problems.views(), Three(), PLAN)
    assert problems.same_bits(models[0], models[1])
    assert problems.same_bits(models[0], models[2])


def test_an_epochs_telemetry_is_the_mean_over_the_steps_that_were_looked_at(monkeypatch):
    monkeypatch.setattr(callbacks, "MEASURE_EVERY", 2)
    plan = replace(PLAN, shards=1, learning_rate=0.0, schedule="constant")
    objective, views, model = Labels(), problems.views(), problems.mlp()
    rows = fit(model, views, objective, plan)
    from minikd.data import epoch_order

    for epoch, row in enumerate(rows):
        looked = epoch_order(10, 4, plan.seed, epoch)[::2]
        each = [losses.cross_entropy(model(views.clean(index)), views.labels[index])[0] for index in looked]
        assert row["hard_loss"] == pytest.approx(np.mean(each), rel=1e-5)
        assert math.isnan(row["soft_loss"])
        assert math.isnan(row["cosine"])


def test_the_cosine_is_0_where_a_term_has_no_weight():
    views = problems.views()
    row = fit(
        problems.mlp(),
        views,
        problems.distillation_objective(problems.cnn(), views, alpha=0.0),
        replace(PLAN, epochs=1),
    )[0]
    assert row["cosine"] == row["soft_loss"] == row["soft_gradient"] == 0
    assert row["hard_gradient"] > 0


def test_a_regressor_learns_and_stays_out_of_the_student():
    """Trained alone on a frozen student, it would be the least squares; here it must come closer step by step."""
    from minikd.distillation.teacher import teacher_for

    student, teacher, views = problems.mlp(), problems.cnn(), problems.views(30)
    pair = Pair(student, (teacher,), problems.SHAPE)
    objective = Hint(weight=1.0).objective(pair, lambda layers, _: teacher_for(teacher, views, map, layers), rng(3))
    before = {name: value.copy() for name, value in objective.extra_parameters.params.items()}
    names = list(student.state_dict())
    rows = fit(student, views, objective, Plan(epochs=20, batch_size=10, learning_rate=0.02))
    assert rows[-1]["feature_loss"] < 0.5 * rows[0]["feature_loss"]
    assert list(student.state_dict()) == names
    for name, value in objective.extra_parameters.params.items():
        assert not np.isclose(value, before[name]).all()
