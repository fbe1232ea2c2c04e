"""EMNIST's and QMNIST's files, whose images lie on their side and whose letters are numbered from 1."""

import gzip
import string

import numpy as np
import pytest

from minikd.data import load_dataset, load_images
from minikd.errors import DataError
from tests.data.makers import idx_bytes, quietly, toy_arrays


def write_emnist(folder, split, first=0, classes=3, suffix=".gz"):
    """Write a split of EMNIST with images on their side; return its arrays upright, with labels from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = toy_arrays(classes=classes, train=max(24, classes))
    for (part, kind), array in arrays.items():
        stored = array.swapaxes(1, 2) if kind == "images" else array + np.uint8(first)
        data = idx_bytes(stored)
        path = folder / f"emnist-{split}-{part}-{kind}-idx{stored.ndim}-ubyte{suffix}"
        path.write_bytes(gzip.compress(data) if suffix else data)
    return arrays


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_letters_are_put_upright_and_numbered_from_0_and_it_is_said(tmp_path, suffix):
    arrays = write_emnist(tmp_path, "letters", first=1, classes=26, suffix=suffix)
    dataset, said = quietly(load_dataset, tmp_path)
    assert (dataset.name, dataset.class_names) == ("emnist-letters", tuple(string.ascii_uppercase))
    np.testing.assert_array_equal(dataset.train_images[:, 0], arrays["train", "images"])
    np.testing.assert_array_equal(dataset.train_labels, arrays["train", "labels"])
    np.testing.assert_array_equal(dataset.test_labels, arrays["test", "labels"])
    assert said == [
        f"{tmp_path}: the images of emnist-letters are stored rotated in its files; they are turned upright",
        f"{tmp_path}: the labels of emnist-letters start at 1; they are numbered again from 0: A, B, C, ...",
    ]


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("digits", string.digits),
        ("mnist", string.digits),
        ("balanced", string.digits + string.ascii_uppercase + "abdefghnqrt"),
        ("bymerge", string.digits + string.ascii_uppercase + "abdefghnqrt"),
        ("byclass", string.digits + string.ascii_uppercase + string.ascii_lowercase),
    ],
)
def test_the_classes_of_every_split_are_known(tmp_path, split, names):
    arrays = write_emnist(tmp_path, split, classes=len(names))
    dataset, said = quietly(load_dataset, tmp_path)
    assert dataset.class_names == tuple(names)
    np.testing.assert_array_equal(dataset.train_labels, arrays["train", "labels"])
    assert len(said) == 1


def test_of_several_splits_one_is_asked_for_by_name(tmp_path):
    raw = tmp_path / "EMNIST" / "raw"
    write_emnist(raw, "letters", first=1)
    write_emnist(raw, "digits")
    with pytest.raises(DataError, match=r"holds 2 data sets; give one of .*raw.emnist-digits, .*raw.emnist-letters"):
        load_dataset(tmp_path)
    assert quietly(load_dataset, raw / "emnist-digits")[0].class_names == ("0", "1", "2")
    assert quietly(load_dataset, raw / "emnist-letters")[0].class_names == ("A", "B", "C")


def test_images_without_labels_are_put_upright_too(tmp_path):
    arrays = write_emnist(tmp_path, "letters", first=1)
    for source in ("emnist-letters", "emnist-letters-train-images-idx3-ubyte.gz"):
        images, said = quietly(load_images, tmp_path / source)
        np.testing.assert_array_equal(images[:, 0], arrays["train", "images"])
        assert len(said) == 1
        assert "the images of emnist-letters are stored rotated in its files; they are turned upright" in said[0]


def test_qmnists_first_number_is_the_label(tmp_path):
    arrays = toy_arrays()
    for (part, kind), array in arrays.items():
        if kind == "labels":
            many = np.zeros((len(array), 8), ">i4")
            many[:, 0] = array
            many[:, 1:] = 70_000
            data = idx_bytes(many, code=12)
        path = tmp_path / f"qmnist-{part}-{kind}-idx{'3-ubyte' if kind == 'images' else '2-int'}.gz"
        path.write_bytes(gzip.compress(idx_bytes(array) if kind == "images" else data))
    dataset, said = quietly(load_dataset, tmp_path)
    np.testing.assert_array_equal(dataset.train_labels, arrays["train", "labels"])
    np.testing.assert_array_equal(dataset.test_images[:, 0], arrays["test", "images"])
    assert "the first, the digit, is used as the label" in said[0]
