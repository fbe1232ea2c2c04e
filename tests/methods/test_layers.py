"""Which layers are compared."""

import numpy as np
import pytest

from minikd import models, nn
from minikd.errors import ConfigError
from minikd.methods.layers import compared_layers, hidden, shapes
from minikd.nn.taps import names
from tests import problems

IMAGE = (1, 28, 28)


def rng():
    return np.random.default_rng(0)


def test_the_shapes_of_a_network_by_layer():
    found = shapes(problems.cnn(), problems.SHAPE)
    assert found == {"0": (4, 6, 6), "1": (4, 6, 6), "2": (4, 3, 3), "3": (4, 3, 3), "4": (36,), "5": (3,)}


def test_hidden_layers_are_learned_are_not_the_answer_and_are_no_chance():
    assert list(hidden(problems.mlp(dropout=0.5), problems.SHAPE)) == ["1", "2"]
    assert list(hidden(problems.cnn(), problems.SHAPE)) == ["0", "1", "2", "3", "4"]
    assert hidden(nn.Sequential(nn.Flatten(), nn.Linear(36, 3, rng())), problems.SHAPE) == {}
    assert hidden(nn.Sequential(nn.Flatten()), problems.SHAPE) == {}


def test_the_last_hidden_layers_are_compared_unless_others_are_asked_for():
    student, teacher = models.mlp(IMAGE, (30,), 10, rng()), models.cnn(IMAGE, 10, rng(), dropout=0.3)
    found = compared_layers(student, teacher, IMAGE, ("", ""), maps=False)
    assert found == ("2", "8", (30,), (128,))
    assert compared_layers(student, teacher, IMAGE, ("1", "5"), maps=False) == ("1", "5", (30,), (64, 7, 7))


def test_a_layer_has_a_name_beside_its_number():
    student, teacher = models.mlp(IMAGE, (30,), 10, rng()), models.cnn(IMAGE, 10, rng())
    assert names(student.layers) == {"flatten_1": "0", "linear_1": "1", "relu_1": "2", "linear_2": "3"}
    found = compared_layers(student, teacher, IMAGE, ("linear_1", "ReLU_2"), maps=False)
    assert found == compared_layers(student, teacher, IMAGE, ("1", "5"), maps=False)
    with pytest.raises(
        ConfigError, match="teacher_layer is 'relu_9', but the teacher's layers are 0 conv2d_1, 1 maxpool2d_1"
    ):
        compared_layers(student, teacher, IMAGE, ("", "relu_9"), maps=False)


def test_maps_are_those_of_one_height_and_width_the_last_such():
    student = nn.Sequential(
        *(nn.Conv2d(1, 2, 3, rng(), padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, rng())),
        *(nn.Flatten(), nn.Linear(3 * 12 * 12, 10, rng())),
    )
    found = compared_layers(student, models.cnn(IMAGE, 10, rng()), IMAGE, ("", ""), maps=True)
    assert found == ("2", "3", (2, 14, 14), (64, 14, 14))
    with pytest.raises(ConfigError, match="the student has 12x12, the teacher 28x28, 14x14, 7x7"):
        compared_layers(student, models.cnn(IMAGE, 10, rng()), IMAGE, ("3", ""), maps=True)


@pytest.mark.parametrize(
    ("asked", "maps", "words"),
    [
        (
            ("7", ""),
            False,
            "student_layer is '7', but the student's layers are 0 flatten_1, 1 linear_1, 2 relu_1, 3 linear_2",
        ),
        (("", "x"), False, "teacher_layer is 'x', but the teacher's layers are 0 conv2d_1, 1 batchnorm2d_1"),
        (("2", ""), True, "the student 36-8-3 has none at layer 2"),
    ],
)
def test_a_layer_that_cannot_be_compared_is_named(asked, maps, words):
    with pytest.raises(ConfigError, match=words):
        compared_layers(problems.mlp(), problems.cnn(), problems.SHAPE, asked, maps)
