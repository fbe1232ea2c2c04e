"""Which images a run's parts see, where some have no label."""

from dataclasses import replace

import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data import load_dataset
from minikd.distillation.prepare import NO_LABEL, Data
from minikd.distillation.recipe import Recipe
from minikd.errors import ConfigError, DataError, SizeError
from tests.cli.makers import write_data


@pytest.fixture
def recipe(tmp_path):
    """180 training images of three classes; 18 are held out."""
    return Recipe(data=str(write_data(tmp_path / "squares.npz")), validation=18)


def test_with_all_labels_there_is_one_training_set(recipe):
    data = Data.of(recipe)
    assert data.all_labelled
    assert data.labelled == len(data.train) == len(data.transfer) == 162
    assert np.array_equal(data.train.images, data.transfer.images)
    assert np.array_equal(data.train.labels, data.transfer.labels)


def test_each_class_keeps_its_share_of_the_labels_and_the_images_all_stay(recipe):
    whole, data = Data.of(recipe), Data.of(replace(recipe, labelled=30))
    kept = data.transfer.labels != NO_LABEL
    assert data.labelled == kept.sum() == 30
    assert not data.all_labelled
    assert np.bincount(data.transfer.labels[kept]).tolist() == [10, 10, 10]
    assert np.array_equal(data.transfer.labels[kept], whole.train.labels[kept])
    assert np.array_equal(data.transfer.images, whole.train.images)
    assert (data.train.mean, data.train.std) == (whole.train.mean, whole.train.std)


def test_the_baseline_sees_the_labelled_images_over_and_over_and_no_others(recipe):
    data = Data.of(replace(recipe, labelled=30))
    kept = data.transfer.labels != NO_LABEL
    assert len(data.train) == len(data.transfer)
    allowed = dict(zip(map(bytes, data.transfer.images[kept]), data.transfer.labels[kept], strict=True))
    seen = list(zip(map(bytes, data.train.images), data.train.labels, strict=True))
    assert all(allowed[image] == label for image, label in seen)
    assert {image for image, _ in seen} == set(allowed)


def test_another_seed_keeps_other_labels(recipe):
    one, two = (Data.of(replace(recipe, labelled=30, seed=seed)) for seed in (0, 1))
    assert not np.array_equal(one.transfer.labels, two.transfer.labels)


@pytest.fixture
def more(monkeypatch):
    """A function that makes images what the source without labels holds."""
    return lambda images: monkeypatch.setattr("minikd.distillation.prepare.load_images", lambda *_: images)


def images(count=30, shape=(1, 12, 10), dtype=np.uint8):
    return np.random.default_rng(7).integers(0, 255, (count, *shape)).astype(dtype)


def test_more_images_join_without_labels_and_all_of_them(recipe, more):
    more(images())
    data = Data.of(replace(recipe, unlabelled="more"))
    assert len(data.transfer) == 162 + 30
    assert np.array_equal(data.transfer.images[162:], images())
    assert (data.transfer.labels[162:] == NO_LABEL).all()
    assert data.labelled == 162
    assert set(data.train.labels.tolist()) == {0, 1, 2}


def test_grey_images_beside_colour_fill_all_channels(tmp_path, more):
    recipe = Recipe(data=str(write_data(tmp_path / "colour.npz", channels=3)), validation=18, unlabelled="more")
    more(images())
    with pytest.warns(Notice, match="unlabelled is 'more', which has grey images, but the data's are in colour"):
        data = Data.of(recipe)
    assert np.array_equal(data.transfer.images[162:], np.repeat(images(), 3, 1))


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        (images(shape=(3, 12, 10)), ConfigError, r"uint8 \(3, 12, 10\), .*; make them grey, or give data in colour"),
        (images(shape=(1, 12, 14)), ConfigError, r"are uint8 \(1, 12, 10\); resize them to 12x10: --image-size 12x10"),
        (images(dtype=np.float32) / 255, ConfigError, r"float32 .*are uint8.*astype\('uint8'\)"),
        (images(dtype=np.int16), DataError, "int16"),
        (images()[:0], DataError, "no pixels"),
        (images()[:, 0], DataError, r"must be \(N, C, H, W\)"),
    ],
)
def test_more_images_must_be_of_the_datas_kind(found, error, words, recipe, more):
    more(found)
    with pytest.raises(error, match=words):
        Data.of(replace(recipe, unlabelled="more"))


@pytest.mark.parametrize(
    ("settings", "free", "words"),
    [
        ({}, [21_599], "the training images without those held out would take 21,600 bytes"),
        ({"unlabelled": "more"}, [21_600, 23_039], "192 images to distill on would take 23,040 bytes"),
        (
            {"labelled": 30},
            [21_600, 19_440, 19_439],
            "the labelled images, repeated for the baseline, would take 19,44",
        ),
    ],
)
def test_more_images_than_the_memory_holds_are_refused(settings, free, words, recipe, more, monkeypatch):
    more(images())
    dataset = load_dataset(recipe.data)
    monkeypatch.setattr("minikd.distillation.prepare.load_dataset", lambda *_: dataset)
    monkeypatch.setattr("minikd.memory.ASKED_FROM", 0)
    monkeypatch.setattr("minikd.memory.available", iter(free).__next__)
    with pytest.raises(SizeError, match=rf"{words}.* of memory, but .* are free; give smaller images \(--image-size"):
        Data.of(replace(recipe, **settings))


@pytest.mark.parametrize(
    ("sizes", "wanted", "held"),
    [((90, 90, 90), 18, 18), ((90, 90, 90), 500, 27), ((1,) * 20 + (2,), 5, 1), ((4, 4, 3), 5, 1), ((4, 4, 4), 0, 0)],
)
def test_what_is_held_out_leaves_one_of_each_class(sizes, wanted, held, tmp_path):
    data = Data.of(Recipe(data=str(write_sizes(tmp_path / "d.npz", sizes)), validation=wanted))
    assert data.watched_name == ("validation" if held else "test")
    assert len(data.train) == sum(sizes) - held
    assert set(data.train.labels.tolist()) == set(range(len(sizes)))
    assert len(data.watched) == held or not held


def test_too_few_images_to_hold_any_out_are_told(tmp_path):
    recipe = Recipe(data=str(write_sizes(tmp_path / "d.npz", (3, 3, 3))))
    with pytest.warns(Notice, match="d has 9 training images of 3 classes, too few to hold any out; .* test images"):
        assert Data.of(recipe).watched_name == "test"


@pytest.mark.parametrize(("count", "fine"), [(3, False), (10, False), (40, True)])
def test_a_class_that_would_get_no_label_is_named(count, fine, tmp_path):
    recipe = Recipe(data=str(write_sizes(tmp_path / "d.npz", (30, 30, 2))), validation=0, labelled=count)
    if fine:
        assert set(Data.of(recipe).train.labels.tolist()) == {0, 1, 2}
    else:
        with pytest.raises(ConfigError, match=f"labelled is {count}, and '2', 2 of the 62 training images, gets none"):
            Data.of(recipe)


def write_sizes(path, sizes):
    """Write a data set with so many training images of each class."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    np.savez(
        path, train_images=images(len(labels)), train_labels=labels, test_images=images(2), test_labels=np.arange(2)
    )
    return path


@pytest.mark.parametrize("count", [1, 2, 160, 500])
def test_a_count_that_leaves_a_class_bare_is_refused(recipe, count):
    with pytest.raises(ConfigError, match=f"labelled is {count}, but must be 3 to 159 of the 162"):
        Data.of(replace(recipe, labelled=count))


def test_fewer_training_images_have_each_class_in_its_share_and_come_from_the_data(recipe):
    data = Data.of(replace(recipe, train_images=90, validation=9))
    assert len(data.train) + len(data.watched) == 90
    labels = np.concatenate([data.train.labels, data.watched.labels])
    assert np.bincount(labels).tolist() == [30, 30, 30]
    assert {*map(bytes, data.train.images)} <= {*map(bytes, load_dataset(recipe.data).train_images)}


def test_as_many_training_images_as_there_are_change_nothing(recipe):
    whole, same = Data.of(recipe), Data.of(replace(recipe, train_images=180))
    assert np.array_equal(whole.train.images, same.train.images)


def test_fewer_training_images_than_classes_are_refused(recipe):
    with pytest.raises(ConfigError, match="train_images is 2, but must be at least 3, one for each class"):
        Data.of(replace(recipe, train_images=2))
