"""Weights files beside a data set: matched by name, refused before anything is measured."""

import numpy as np
import pytest

from minikd.backends import choose
from minikd.console.notices import Notice
from minikd.distillation.measure import measure_files
from minikd.errors import CheckpointError, Diverged
from minikd.weights import Card, save_model
from tests.cli.makers import write_data, write_named

NAMES = "cat", "dog", "bird"


@pytest.fixture
def card():
    return Card("teacher", (1, 12, 10), (0.2,), (0.2,), NAMES)


@pytest.fixture
def model():
    """It sees where the square is: the mean of three columns, for each class."""
    from minikd import nn

    found = nn.Sequential(nn.Flatten(), nn.Linear(120, 3, np.random.default_rng(0)))
    found.vector[:] = 0
    weight = found.params["1.weight"].reshape(3, 12, 10)
    for k in range(3):
        weight[k, :, 3 * k : 3 * k + 3] = 1
    return found


def rows(data, *paths):
    return measure_files(paths, str(data), None, choose("numpy"), map)


def test_a_model_is_measured_by_its_classes_names(model, card, tmp_path):
    path = tmp_path / "w.safetensors"
    save_model(path, model, card)
    same = rows(write_named(tmp_path / "same.npz", NAMES), path)[str(path)]
    with pytest.warns(Notice, match=r"w\.safetensors has the classes of other in another order, 'cat', 'dog', 'bird'"):
        other = rows(write_named(tmp_path / "other.npz", NAMES, (2, 0, 1)), path)[str(path)]
    assert same["errors"] == other["errors"] == 0
    assert same["nll"] == pytest.approx(other["nll"])
    assert (other["data"], other["part"], other["images"]) == ("other", "test", 60)


def test_numbers_for_names_count_in_their_order(model, card, tmp_path):
    path = tmp_path / "w.safetensors"
    save_model(path, model, card)
    with pytest.warns(
        Notice, match="bare has numbers as class names, so the order of the classes is used: 0 is 'cat', 1 is 'dog'"
    ):
        assert rows(write_data(tmp_path / "bare.npz"), path)[str(path)]["errors"] == 0


def test_other_classes_are_refused_before_any_model_is_measured(model, card, tmp_path, monkeypatch):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    save_model(paths[0], model, card)
    save_model(paths[1], model, Card("b", card.image, card.mean, card.std, ("cat", "dog", "fish")))
    monkeypatch.setattr("minikd.distillation.measure.measure", None)
    with pytest.raises(
        CheckpointError, match=r"b\.safetensors knows other .*'fish', where the data has 'bird' \(2 more"
    ):
        rows(write_named(tmp_path / "data.npz", NAMES), *paths)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"size": (12, 14)}, r"images \(1, 12, 14\) of 3 .*, or resize it with --image-size 12x10$"),
        ({"channels": 3}, r"images \(3, 12, 10\) of 3 classes; use weights trained on this data$"),
        ({"classes": 4}, r"of 3 classes, but data has .* of 4 classes; use weights trained on this data$"),
    ],
)
def test_images_of_another_kind_are_refused(made, words, model, card, tmp_path):
    save_model(tmp_path / "w.safetensors", model, card)
    with pytest.raises(CheckpointError, match=words):
        rows(write_data(tmp_path / "data.npz", **made), tmp_path / "w.safetensors")


def test_answers_that_are_no_numbers_are_named_by_their_file(model, card, tmp_path):
    model.vector[:] = 3e38
    save_model(tmp_path / "w.safetensors", model, card)
    with pytest.raises(Diverged, match=r"w\.safetensors: the model's answers to 60 of 60 images are NaN or infinite"):
        rows(write_named(tmp_path / "data.npz", NAMES), tmp_path / "w.safetensors")
