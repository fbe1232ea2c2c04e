"""What methods train beside the student: a temperature, regressors, peers."""

import math

import numpy as np
import pytest

from minikd import schedules
from minikd.data import Batch
from minikd.losses import cross_entropy, hint, kl_divergence, kl_with_temperature
from minikd.methods import METHODS, build
from minikd.methods.mutual import shuffled_copy
from minikd.optim import Adam
from minikd.training import Checkpoint, Plan, fit
from minikd.training import loop as training
from minikd.training.objective import Answer, Step
from minikd.training.run import Run
from tests import problems
from tests.methods.makers import objective_of, smooth, total

PLAN = Plan(epochs=4, batch_size=5, learning_rate=0.05, schedule="constant", shards=1)


def curriculum(student, views, **settings):
    return objective_of("curriculum_temperature", student, [problems.cnn()], views, **settings)


def test_the_temperature_starts_where_it_was_asked_to():
    for temperature in (1.5, 4.0, 20.0):
        objective = curriculum(problems.mlp(), problems.views(), temperature=temperature)
        assert objective.temperature == pytest.approx(temperature, rel=1e-5)


def test_the_temperature_climbs_the_loss_by_its_own_slope():
    """dθ = -λ dL/dT dT/dθ, with dT/dθ by differences of the sigmoid."""
    student, views = smooth().astype("float64"), problems.views(dtype=np.float64)
    teacher = problems.cnn().astype("float64")
    objective = objective_of("curriculum_temperature", student, [teacher], views, strength=0.7, alpha=0.4)
    batch, theta = views.batch(0, np.arange(6)), objective.extra_parameters.params["theta"]
    found, T, eps = total(student, objective, batch, progress=1.0).grads["theta"], objective.temperature, 1e-6
    temperatures = []
    for sign in (1, -1):
        theta[0] += sign * eps
        temperatures.append(objective.temperature)
        theta[0] -= sign * eps
    dT = kl_with_temperature(student(batch.images), teacher(batch.images), T)[2]
    slope = (temperatures[0] - temperatures[1]) / (2 * eps)
    assert found[0] == pytest.approx(-0.4 * 0.7 * dT * slope, rel=1e-6)


def test_the_climb_rises_from_0_along_half_a_cosine():
    method = build("curriculum_temperature", {"strength": 2.0, "rise": 0.2})
    assert [method.weight_of_climb(part) for part in (0.0, 0.1, 0.2, 1.0)] == pytest.approx([0.0, 1.0, 2.0, 2.0])
    assert build("curriculum_temperature", {"rise": 0.0}).weight_of_climb(0.0) == 1.0
    assert math.isclose(method.weight_of_climb(0.05), 1 - math.cos(math.pi / 4))


def test_the_temperature_is_trained_against_the_student():
    student, views = problems.mlp(), problems.views(20)
    objective = curriculum(student, views, temperature=2.0, rise=0.0)
    before = objective.temperature
    fit(student, views, objective, PLAN)
    assert objective.temperature != pytest.approx(before, abs=1e-3)
    still = curriculum(problems.mlp(), views, temperature=2.0, strength=0.0)
    fit(problems.mlp(), views, still, PLAN)
    assert still.temperature == pytest.approx(2.0, rel=1e-5)


def test_a_hint_in_stages_is_the_hint_alone_and_then_soft_targets_alone():
    student, views = problems.mlp(), problems.views()
    objective = objective_of("hint", student, [problems.cnn()], views, stage=0.5)
    batch = views.batch(0, np.arange(6))

    def names_of(objective, at):
        return [term.name for term in problems.terms_of(student, objective, batch, Step(at, None))[0]]

    names = [names_of(objective, at) for at in (0.0, 0.49, 0.5, 1.0)]
    assert names == [["feature"], ["feature"], ["soft", "hard"], ["soft", "hard"]]
    jointly = objective_of("hint", student, [problems.cnn()], views)
    assert names_of(jointly, 0.0) == ["soft", "hard", "feature"]


def test_a_stage_of_hints_leaves_the_head_and_the_rest_leaves_the_regressor():
    def after(stage, epochs):
        student, views = problems.mlp(), problems.views()
        objective = objective_of("hint", student, [problems.cnn()], views, stage=stage)
        plan = Plan(epochs, batch_size=10, optimizer="sgd", momentum=0.0, learning_rate=0.1, schedule="constant")
        fit(student, views, objective, plan)
        return student.params["3.weight"], objective.extra_parameters.params["weight"]

    first = problems.mlp().params["3.weight"]
    head, regressor = after(0.9, 1)  # the one step of this run is at progress 0
    assert np.array_equal(head, first)
    head_later, regressor_later = after(0.9, 2)  # and the second step of two at progress 1
    assert not np.array_equal(head_later, first)
    start = objective_of("hint", problems.mlp(), [problems.cnn()], problems.views()).extra_parameters.params["weight"]
    assert not np.array_equal(regressor, start)
    assert np.array_equal(regressor_later, regressor)


def test_a_second_stage_is_a_training_of_its_own(monkeypatch):
    """Ten steps, four of them the hint's: then the schedule begins anew, and Adam has forgotten."""
    seen, real = [], Adam.step

    def step(self, params, grads, state, lr):
        seen.append((int(state["step"]), bool(state["m"].any()), lr))
        real(self, params, grads, state, lr)

    monkeypatch.setattr(Adam, "step", step)
    views = problems.views(20)
    plan = Plan(epochs=5, batch_size=10, learning_rate=0.01, schedule="cosine")
    for stage, parts in ((0.4, (4, 6)), (0.0, (10,))):
        seen.clear()
        fit(problems.mlp(), views, objective_of("hint", problems.mlp(), [problems.cnn()], views, stage=stage), plan)
        expected = [(k, k > 0, schedules.cosine(0.01, count)(k)) for count in parts for k in range(count)]
        assert seen == expected


@pytest.mark.parametrize("looks", [2, 4, 5, 6])
def test_a_run_in_two_stages_survives_a_stop(looks, tmp_path, monkeypatch):
    """Before the second stage, at its first step, and after it: the third of eight steps is its first."""
    views, plan, path = problems.views(20), Plan(epochs=4, batch_size=10, learning_rate=0.01), tmp_path / "checkpoint"

    def hinted(student):
        return objective_of("hint", student, [problems.cnn()], views, stage=0.25)

    whole, wanted = problems.mlp(), hinted(problems.mlp())
    assert Run(problems.mlp(), views, hinted(problems.mlp()), plan).second == 2
    fit(whole, views, wanted, plan)
    with monkeypatch.context() as patch:
        patch.setattr(training, "stop_requests", problems.stop_after(looks))
        with pytest.raises(training.Interrupted):
            fit(problems.mlp(), views, hinted(problems.mlp()), plan, [Checkpoint(path)])
    student, objective = problems.mlp(), hinted(problems.mlp())
    fit(student, views, objective, plan, [Checkpoint(path)])
    assert problems.same_bits(student, whole)
    assert objective.extra_parameters.params["weight"].tobytes() == wanted.extra_parameters.params["weight"].tobytes()


def test_a_stage_is_as_long_as_the_hint():
    """Whatever the length of the run: the first step of the second stage is the first without the hint."""
    student, views = problems.mlp(), problems.views(20)
    for stage in (0.1, 0.25, 0.3, 0.7, 0.99):
        for epochs in range(1, 12):
            objective = objective_of("hint", student, [problems.cnn()], views, stage=stage)
            run = Run(student, views, objective, Plan(epochs, batch_size=4))
            hinted = [objective.method.parts(run.progress_at(step))[0] for step in range(run.steps)]
            assert run.second == sum(hinted) % run.steps
            run.release()


def test_the_regressor_meets_the_features_of_both():
    student, teacher = smooth().astype("float64"), problems.cnn().astype("float64")
    views = problems.views(dtype=np.float64)
    objective = objective_of("hint", student, [teacher], views, weight=3.0, alpha=0.0)
    batch = views.batch(0, np.arange(6))
    found = total(student, objective, batch)
    fs = student.forward_with_taps(batch.images, ("2",))[1]["2"]
    ft = teacher.forward_with_taps(batch.images, ("4",))[1]["4"]
    w, b = objective.extra_parameters.params["weight"], objective.extra_parameters.params["bias"]
    assert w.dtype == np.float64
    loss, dfs, dw, db = hint(fs, ft, w, b)
    assert found.loss == pytest.approx(3 * loss + cross_entropy(student(batch.images), batch.labels)[0])
    np.testing.assert_allclose(found.dtaps["2"], 3 * dfs)
    np.testing.assert_allclose(found.grads["weight"], 3 * dw)
    np.testing.assert_allclose(found.grads["bias"], 3 * db)


@pytest.mark.parametrize("peers", [1, 2])
def test_every_student_of_a_cohort_learns_from_labels_and_the_others(peers):
    """Each gradient is that of the loss of a single student, the others' answers given."""
    student, views = problems.mlp(), problems.views()
    objective = objective_of("deep_mutual_learning", student, [problems.cnn()], views, peers=peers)
    batch = views.batch(0, np.arange(6))
    everyone = [student, *objective.peers]
    answers = [model(batch.images) for model in everyone]
    found = total(student, objective, batch)
    for i, model in enumerate(everyone):
        pulls = [kl_divergence(answers[i], other, 1.0)[1] for j, other in enumerate(answers) if j != i]
        wanted = cross_entropy(answers[i], batch.labels)[1] + np.mean(pulls, axis=0)
        if i == 0:
            np.testing.assert_allclose(found.dlogits, wanted, atol=1e-6)
        else:
            _, cache = model.forward(batch.images)
            for name, gradient in model.parameter_gradients(wanted.astype(np.float32), cache).items():
                np.testing.assert_allclose(found.grads[f"{i - 1}.{name}"], gradient, atol=1e-5)


def test_peers_start_apart_learn_and_are_not_the_student():
    student, views = problems.mlp(), problems.views(30)
    objective = objective_of("deep_mutual_learning", student, [problems.cnn()], views, peers=2)
    first = [peer.vector.copy() for peer in objective.peers]
    vectors = {vector.tobytes() for vector in (student.vector, *first)}
    assert len(vectors) == 3
    fit(student, views, objective, Plan(epochs=15, batch_size=10, learning_rate=0.02))
    for peer, before in zip(objective.peers, first, strict=True):
        assert not np.array_equal(peer.vector, before)
        assert (peer(views.clean()).argmax(1) == views.labels).mean() > 0.9
    assert student.size == problems.mlp().size


def test_a_peers_first_weights_are_the_students_shuffled():
    model = problems.mlp()
    twin = shuffled_copy(model, np.random.default_rng(0))
    for name, value in model.params.items():
        np.testing.assert_array_equal(np.sort(twin.params[name], None), np.sort(value, None))
    assert not np.array_equal(twin.params["1.weight"], model.params["1.weight"])


def test_noise_is_the_steps_own_and_of_the_size_that_was_asked_for():
    seen = []

    class Spy(METHODS["noisy_teacher"]):
        def soft(self, z, v, T):
            seen.append(v)
            return super().soft(z, v, T)

    answer, batch = Answer(np.ones((4000, 3), np.float32)), Batch(np.arange(4000), None, np.zeros(4000, int))
    for seed in (0, 0, 1):
        Spy(alpha=1.0, sigma=0.5, share=0.25).terms(answer, answer, batch, Step(0.0, np.random.default_rng(seed)))
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    assert seen[0].dtype == np.float32
    disturbed = (seen[0] != 1).all(1)
    assert disturbed.mean() == pytest.approx(0.25, abs=0.03)
    assert seen[0][disturbed].std() == pytest.approx(0.5, rel=0.05)
    assert (seen[0][~disturbed] == 1).all()
