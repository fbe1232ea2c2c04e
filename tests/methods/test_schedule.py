"""Temperature, alpha and the weights of methods may move over a run."""

import math

import numpy as np
import pytest

from minikd.errors import ConfigError
from minikd.methods import METHODS, SoftTargets, build, soft_targets
from minikd.methods.features import FeatureMethod
from minikd.methods.logits import MixedMethod, WeightedMethod
from minikd.methods.schedule import value_at
from minikd.training import Plan, fit
from tests import problems
from tests.methods.makers import convolutional, objective_of, smooth, total

MIXED = [name for name, kind in METHODS.items() if issubclass(kind, MixedMethod)]
FEATURES = [name for name, kind in METHODS.items() if issubclass(kind, FeatureMethod)]
WEIGHTED = [name for name, kind in METHODS.items() if issubclass(kind, WeightedMethod)]


def at(name, progress, **settings):
    """Return a method's terms added up at a time of the run, on a problem that is always the same."""
    views = problems.views(12, dtype=np.float64)
    maps = name == "attention_transfer"
    student = (convolutional() if maps else smooth()).astype("float64")
    teacher = problems.cnn(norm=False).astype("float64")
    layers = {"teacher_layer": "0"} if maps else {}
    objective = objective_of(name, student, [teacher], views, **layers, **settings)
    return total(student, objective, views.batch(0, np.arange(12)), progress)


def same(found, expected):
    np.testing.assert_allclose(float(found.loss), float(expected.loss), rtol=1e-12)
    np.testing.assert_allclose(found.dlogits, expected.dlogits, rtol=1e-12, atol=1e-15)
    for layer, value in expected.dtaps.items():
        np.testing.assert_allclose(found.dtaps[layer], value, rtol=1e-12, atol=1e-15)


def test_without_a_final_value_nothing_moves():
    assert {value_at(3.0, None, progress, "cosine") for progress in (0.0, 0.4, 1.0)} == {3.0}
    assert {SoftTargets().at(progress) for progress in (0.0, 0.4, 1.0)} == {(4.0, 0.9)}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_value_goes_from_first_to_last(schedule):
    part = 0.25 if schedule == "linear" else (1 - math.cos(math.pi / 4)) / 2
    found = [value_at(8.0, 1.0, progress, schedule) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([8.0, 8.0 - 7.0 * part, 4.5, 1.0])


def test_there_are_methods_of_all_kinds():
    assert {"soft_targets", "reverse_kl", "noisy_teacher", "hint"} < set(MIXED)
    assert "attention_transfer" in FEATURES
    assert WEIGHTED == ["dkd", "dist", "standardized_kl"]


@pytest.mark.parametrize("name", MIXED)
def test_temperature_and_alpha_move_in_every_method_that_has_both(name):
    """A quarter of the way, a run on a schedule does what a run does that has these values all along."""
    settings = {"temperature": 8.0, "alpha": 0.8, "final_temperature": 2.0, "final_alpha": 0.4}
    moving = at(name, 0.25, **settings)
    same(moving, at(name, 0.25, temperature=6.5, alpha=0.7))
    assert float(moving.loss) != float(at(name, 0.75, **settings).loss)


@pytest.mark.parametrize("name", FEATURES)
def test_the_weight_of_hidden_layers_moves(name):
    settings = {"weight": 2.0, "final_weight": 0.0}
    same(at(name, 0.25, **settings), at(name, 0.25, weight=1.5))
    gone = at(name, 1.0, **settings)
    assert not any(value.any() for value in gone.dtaps.values())


@pytest.mark.parametrize("name", WEIGHTED)
def test_the_teachers_term_warms_up(name):
    """The loss is linear in its weight: half-way up it lies in the middle of none and all."""
    first, half, whole, later = (at(name, progress, warm_up=0.2) for progress in (0.0, 0.1, 0.2, 0.9))
    same(whole, at(name, 0.2))
    same(later, whole)
    np.testing.assert_allclose(half.dlogits, (first.dlogits + whole.dlogits) / 2, rtol=1e-12, atol=1e-15)
    assert abs(whole.dlogits - first.dlogits).max() > 0.01


def test_a_run_follows_the_schedule_step_by_step(monkeypatch):
    """Five epochs of one step: the temperatures are 5, 4, 3, 2, 1."""
    used, real = [], soft_targets.distillation_loss
    monkeypatch.setattr(
        soft_targets, "distillation_loss", lambda z, v, y, T, alpha: used.append(T) or real(z, v, y, T, alpha)
    )
    student, views = problems.mlp(), problems.views()
    objective = objective_of("soft_targets", student, [problems.cnn()], views, temperature=5.0, final_temperature=1.0)
    fit(student, views, objective, Plan(epochs=5, batch_size=10, shards=1))
    assert used == pytest.approx([5, 4, 3, 2, 1])


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("hint", {"final_weight": -1.0}, "final_weight is -1.0"),
        ("dkd", {"warm_up": 1.5}, "warm_up is 1.5, but must lie in 0 to 1"),
        ("curriculum_temperature", {"final_temperature": 2.0}, "unknown setting 'final_temperature'"),
    ],
)
def test_a_course_that_cannot_be_is_refused(name, settings, words):
    with pytest.raises(ConfigError, match=words):
        build(name, settings)
