"""NumPy's numbers wherever a number may be given: the result has the bits of Python's own."""

import json

import numpy as np
import pytest

import minikd
from minikd import Augmentation, Plan, nn, schedules
from minikd.errors import ConfigError
from minikd.training.loop import EPOCHS

WHOLE = {"int64": np.int64, "uint8": np.uint8, "of no dimension": np.array}
REAL = {"float64": np.float64, "float32": np.float32, "long double": np.longdouble, "of no dimension": np.array}


def network(i, f):
    rng = np.random.default_rng(1)
    return nn.Sequential(
        nn.Conv2d(i(1), i(4), i(3), rng, stride=i(1), padding=i(1), dilation=i(1), groups=i(1)),
        nn.BatchNorm2d(i(4), eps=f(0.5), momentum=f(0.25)),
        nn.LeakyReLU(f(0.125)),
        nn.MaxPool2d(i(2), stride=i(2), padding=i(0)),
        nn.Flatten(),
        nn.LayerNorm(i(64), f(0.5)),
        nn.Dropout(f(0.25)),
        nn.Linear(i(64), i(8), rng),
        nn.BatchNorm1d(i(8)),
        nn.Linear(i(8), i(3), rng),
    )


def plan(i, f):
    rates = {"learning_rate": f(0.0625), "warm_up": f(0.5), "weight_decay": f(0.125), "momentum": f(0.5)}
    limits = {"clip_norm": f(1.0), "max_norm": f(2.0)}
    return Plan(epochs=i(1), batch_size=i(16), shards=i(2), seed=i(3), optimizer="nesterov", **rates, **limits)


def augmentation(f):
    return Augmentation(shift=f(1.5), rotation=f(8.0), scale=f(0.125), elastic=f(0.5), elastic_smoothing=f(4.0))


def results(data, path, i=lambda number: number, f=lambda number: number):
    """Train, distill and save with numbers of these kinds, and return all that came of it."""
    teacher, student = network(i, f), network(i, f)
    minikd.train(teacher, data, plan(i, f), augmentation(f))
    minikd.distill(teacher, student, data, plan(i, f), temperature=f(2.0), alpha=f(0.5))
    minikd.save(path, student, data)
    np.testing.assert_array_equal(minikd.load_model(path)[0].vector, student.vector)
    return teacher.vector.tobytes(), path.read_bytes(), repr(student)


@pytest.fixture(scope="module")
def data():
    images = np.random.default_rng(0).integers(0, 255, (60, 1, 8, 8), np.uint8)
    labels = np.arange(60) % 3
    return minikd.Dataset("d", images[:45], labels[:45], images[45:], labels[45:], ("a", "b", "c"))


@pytest.fixture(scope="module")
def wanted(data, tmp_path_factory):
    return results(data, tmp_path_factory.mktemp("plain") / "student.safetensors")


@pytest.mark.parametrize("i", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("f", REAL.values(), ids=REAL)
def test_what_is_made_with_them_has_the_same_bits(i, f, data, wanted, tmp_path):
    assert results(data, tmp_path / "student.safetensors", i, f) == wanted


def test_a_layer_of_them_is_described_by_plain_numbers():
    text = json.dumps(network(np.int64, np.float32).config())
    assert json.loads(text)["layers"] == json.loads(json.dumps(network(int, float).config()))["layers"]


def test_a_plan_and_an_augmentation_of_them_are_those_of_plain_numbers():
    assert plan(np.int64, np.float64) == plan(int, float)
    assert repr(plan(np.int64, np.float32)) == repr(plan(int, float))
    assert repr(augmentation(np.float32)) == repr(augmentation(float))
    assert repr(Plan(warm_up=1)) == repr(Plan(warm_up=1.0))


def test_a_schedule_of_them_is_that_of_plain_numbers():
    for made in (
        schedules.constant,
        lambda lr: schedules.step_decay(lr, 3, type(lr)(0.5)),
        lambda lr: schedules.cosine(lr, 9, type(lr)(0.0625)),
        lambda lr: schedules.one_cycle(lr, 9),
    ):
        assert [made(np.float32(0.1))(t) for t in range(9)] == [made(float(np.float32(0.1)))(t) for t in range(9)]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", np.float64(1), "epochs is 1.0, but must be of type int"),
        ("epochs", True, "epochs is True, but must be of type int"),
        ("epochs", EPOCHS + 1, "must be a whole number from 1 to 1,000,000,000"),
        ("batch_size", 10**30, "must be a whole number from 1 to 9,223,372"),
        ("learning_rate", "0.1", "learning_rate is '0.1', but must be of type float"),
        ("momentum", np.True_, "momentum is True, but must be of type float"),
        ("momentum", 10**400, r"momentum is 10+\.\.\., but must be of type float"),
        ("optimizer", 3, "optimizer is 3, but must be of type str"),
    ],
)
def test_a_plan_refuses_what_only_looks_like_it(name, value, words):
    with pytest.raises(ConfigError, match=words):
        Plan(**{name: value})


@pytest.mark.parametrize("value", ["1", True, None, 10**400, [1.0], np.complex64(1)])
def test_an_augmentation_refuses_what_only_looks_like_it(value):
    with pytest.raises(ConfigError, match=r"augmentation shift is .*, but must be a number from 0"):
        Augmentation(shift=value)
