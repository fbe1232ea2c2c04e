import numpy as np
import pytest
from PIL import Image

from minikd.data import load_dataset, load_images
from minikd.errors import ConfigError, DataError
from tests.data.makers import fill, plant, quietly, toy_arrays, write_idx_folder

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "name", ["images", "x_train", "train_images", "unlabelled", "unlabeled", "X", "data", "arr_0", "photos"]
)
def test_an_npz_of_images_alone_is_read_whole(tmp_path, name):
    images = load_images(npz(tmp_path / "bare.npz", **{name: IMAGES}))
    np.testing.assert_array_equal(images[:, 0], IMAGES)


def test_labels_are_not_looked_at(tmp_path):
    for labels in (LABELS, LABELS + 7, LABELS / 2, np.array(["a"] * 30), np.array([None] * 30)):
        np.testing.assert_array_equal(load_images(npz(tmp_path / "b.npz", images=IMAGES, labels=labels))[:, 0], IMAGES)


def test_of_a_data_set_with_a_test_part_the_training_images_are_taken(tmp_path):
    path = npz(
        tmp_path / "whole.npz", train_images=IMAGES, train_labels=LABELS, test_images=IMAGES[:3], test_labels=LABELS[:3]
    )
    assert len(load_images(path)) == 30
    assert len(load_images(write_idx_folder(tmp_path / "idx", toy_arrays()))) == 24
    plant(tmp_path / "pets", "Train/cat Train/dog Test/cat", count=5)
    images, said = quietly(load_images, tmp_path / "pets")
    assert len(images) == 10
    assert said == [f"{tmp_path / 'pets'}: Test left out of the images without labels"]


@pytest.mark.parametrize(
    ("folders", "left"),
    [
        ("pets/data/Train/cat pets/data/Train/dog pets/data/Test/cat", "pets/data/Test"),
        ("archive/train archive/test", "archive/test"),
        ("more train/cat test/cat val/cat", "test, val"),
        ("cat/train cat/test dog/train dog/test", "cat/test, dog/test"),
    ],
)
def test_a_test_part_is_left_out_wherever_it_lies_and_it_is_said(tmp_path, folders, left):
    images, said = quietly(load_images, plant(tmp_path, folders, count=5))
    assert len(images) == 5 * (len(folders.split()) - len(left.split()))
    assert said == [f"{tmp_path}: {left} left out of the images without labels"]


def test_mnist_gives_its_training_images():
    np.testing.assert_array_equal(load_images("mnist"), load_dataset("mnist").train_images)


def test_without_a_test_part_all_images_are_taken_not_five_sixths(tmp_path):
    plant(tmp_path, "cat dog", count=15)
    images, said = quietly(load_images, tmp_path)
    assert images.shape == (30, 1, 4, 5)
    assert said == []


@pytest.mark.parametrize("folders", [".", "cat", "cat/young", "a/cat a/dog b/cat b/dog"])
def test_pictures_in_a_folder_and_below_it_are_read(tmp_path, folders):
    plant(tmp_path, folders, count=3)
    assert len(load_images(tmp_path)) == 3 * len(folders.split())


def test_idx_images_alone_are_read(tmp_path):
    folder = write_idx_folder(tmp_path / "idx", {("train", "images"): IMAGES})
    np.testing.assert_array_equal(load_images(folder)[:, 0], IMAGES)
    np.testing.assert_array_equal(load_images(folder / "train-images-idx3-ubyte")[:, 0], IMAGES)


def test_an_npy_file_is_read_and_may_hold_floats(tmp_path):
    np.save(tmp_path / "bare.npy", IMAGES / 255)
    images = load_images(tmp_path / "bare.npy")
    assert (images.dtype, images.shape) == (np.float32, (30, 1, 4, 5))


def test_images_are_resized_as_those_of_a_data_set(tmp_path):
    path = npz(tmp_path / "toy.npz", train_images=IMAGES, train_labels=LABELS, test_images=IMAGES, test_labels=LABELS)
    np.testing.assert_array_equal(load_images(path, (8, 3)), load_dataset(path, (8, 3)).train_images)
    fill(tmp_path / "flat", 3, size=(9, 9))
    Image.new("L", (30, 20)).save(tmp_path / "flat" / "wide.png")
    assert load_images(tmp_path / "flat", (8, 3)).shape == (4, 1, 8, 3)
    with pytest.raises(ConfigError, match="image_size's height is 0"):
        load_images(path, (0, 3))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": IMAGES, "b": IMAGES},
            r"holds a \(30, 4, 5\) uint8, b \(30, 4, 5\) uint8, and it is not clear which are the images",
        ),
        ({"labels": LABELS}, r"holds labels \(30,\) int64, and it is not clear which are the images"),
        ({"images": LABELS}, "which are the images"),
        ({"images": IMAGES * 1.0}, "float images must lie in 0-1"),
        ({"images": IMAGES.astype(int)}, "images are int64"),
        ({}, "holds nothing, and it is not clear which are the images"),
    ],
)
def test_what_is_no_stack_of_images_is_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_images(npz(tmp_path / "bare.npz", **arrays))


def test_other_sources_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no images .*gone.*: there is no file or folder"):
        load_images(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no pictures and no IDX files"):
        load_images(tmp_path)
    (tmp_path / "list.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"list\.csv is a \.csv file; give a folder of pictures"):
        load_images(tmp_path / "list.csv")
    folder = write_idx_folder(tmp_path / "idx", {("train", "labels"): LABELS.astype(np.uint8)})
    with pytest.raises(DataError, match="has IDX files, but none of images"):
        load_images(folder)
