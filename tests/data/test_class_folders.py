import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data import load_dataset
from minikd.errors import DataError
from tests.data.makers import fill, load_and_split


def test_train_and_test_folders(tmp_path):
    for split, count, base in (("train", 3, 0), ("test", 2, 100)):
        fill(tmp_path / "pets" / split / "dog", count, value=base + 50)
        fill(tmp_path / "pets" / split / "cat", count, value=base)
    dataset = load_dataset(str(tmp_path / "pets"))
    assert (dataset.name, dataset.class_names, dataset.image_shape) == ("pets", ("cat", "dog"), (1, 4, 5))
    np.testing.assert_array_equal(dataset.train_images[:, 0, 0, 0], [0, 1, 2, 50, 51, 52])
    np.testing.assert_array_equal(dataset.train_labels, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(dataset.test_images[:, 0, 0, 0], [100, 101, 150, 151])
    np.testing.assert_array_equal(dataset.test_labels, [0, 0, 1, 1])


@pytest.mark.parametrize("under_train", [True, False])
def test_without_test_folders_a_sixth_of_each_class_is_split_off(tmp_path, under_train):
    root = tmp_path / "train" if under_train else tmp_path
    fill(root / "a", 12)
    fill(root / "b", 24)
    dataset = load_and_split(tmp_path)
    np.testing.assert_array_equal(np.bincount(dataset.test_labels), [2, 4])
    np.testing.assert_array_equal(np.bincount(dataset.train_labels), [10, 20])


def test_numbers_come_in_their_order_and_other_files_are_left_out(tmp_path):
    for name in ("10", "9", "0"):
        fill(tmp_path / name, 4)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "9" / "notes.txt").write_text("not a picture")
    (tmp_path / "9" / "._0.png").write_text("a resource fork")
    dataset = load_and_split(tmp_path)
    assert dataset.class_names == ("0", "9", "10")
    assert len(dataset.train_labels) + len(dataset.test_labels) == 12


def test_one_colour_picture_makes_all_colour(tmp_path):
    fill(tmp_path / "grey", 6, value=20)
    fill(tmp_path / "red", 6, value=20, colour=True)
    dataset = load_and_split(tmp_path)
    assert dataset.image_shape == (3, 4, 5)
    grey = dataset.train_images[dataset.train_labels == 0]
    assert (grey == grey[:, :1]).all()
    red = dataset.train_images[dataset.train_labels == 1]
    assert (red[:, 0] == red[:, 1] // 2).all()


def test_sizes_that_differ_are_named_and_resized_on_request(tmp_path):
    fill(tmp_path / "a", 4, size=(4, 5))
    fill(tmp_path / "b", 4, size=(8, 8))
    message = r"a.0\.png is 4x5, .*b.0\.png is 8x8 \(height x width\); resize them all with --image-size 4x5"
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)
    assert load_and_split(tmp_path, image_size=(6, 7)).image_shape == (1, 6, 7)


def test_an_unreadable_picture_is_named(tmp_path):
    fill(tmp_path / "a", 3)
    fill(tmp_path / "b", 3)
    (tmp_path / "b" / "1.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"b.1\.png cannot be read as a picture"):
        load_dataset(tmp_path)


def test_an_empty_class_is_named(tmp_path):
    fill(tmp_path / "train" / "a", 3)
    fill(tmp_path / "train" / "b", 0)
    with pytest.raises(DataError, match=r"train.b holds no picture \(\.png, .*add some, or remove the folder"):
        load_dataset(tmp_path)


def test_a_class_that_is_only_tested_is_named(tmp_path):
    for name in ("a", "b"):
        fill(tmp_path / "train" / name, 2)
        fill(tmp_path / "test" / name, 1)
    fill(tmp_path / "test" / "c", 1)
    with pytest.raises(DataError, match=r"test has the class 'c', but .*train does not \(a, b\)"):
        load_dataset(tmp_path)


def test_a_class_without_test_pictures_is_allowed_and_it_is_said(tmp_path):
    for name in ("a", "b", "c"):
        fill(tmp_path / "train" / name, 2)
    fill(tmp_path / "test" / "b", 1)
    (tmp_path / "test" / "c").mkdir()
    with pytest.warns(Notice, match="test has no picture of a, c, so no result"):
        np.testing.assert_array_equal(load_dataset(tmp_path).test_labels, [1])


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["test/a"], "has a folder test but no train; the layouts are"),
        (["train"], r"no pictures found in .*train; the layouts are ROOT/train/CLASS"),
        (["only"], "only holds no picture"),
    ],
)
def test_other_layouts_are_refused(tmp_path, folders, message):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_a_single_class_is_refused(tmp_path):
    fill(tmp_path / "only", 6)
    with pytest.raises(DataError, match=r"1 class .*only.*at least 2"):
        load_dataset(tmp_path)
