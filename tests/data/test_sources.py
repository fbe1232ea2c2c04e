import os
import subprocess
import sys
import time

import numpy as np
import pytest

from minikd.data import load_dataset, load_image, load_images, mean_and_std
from minikd.errors import ConfigError, DataError
from tests.data.makers import toy_arrays, write_idx_folder


@pytest.fixture(scope="module")
def mnist():
    return load_dataset("mnist")


def test_mnist_is_whole(mnist):
    assert mnist.train_images.shape == (60000, 1, 28, 28)
    assert mnist.test_images.shape == (10000, 1, 28, 28)
    assert mnist.class_names == tuple("0123456789")
    np.testing.assert_array_equal(mnist.train_labels[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    np.testing.assert_array_equal(mnist.test_labels[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
    # the published class counts of the training set
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(mnist.train_labels), counts)
    np.testing.assert_allclose(mean_and_std(mnist.train_images), [(0.1307,), (0.3081,)], atol=5e-5)


def test_mnist_is_quick():
    def seconds():
        start = time.perf_counter()
        load_dataset("mnist")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.5  # 0.2 s on one server core, with room for a slow machine


def test_any_source_can_be_resized(tmp_path):
    folder = write_idx_folder(tmp_path / "toy", toy_arrays())
    dataset = load_dataset(folder, image_size=(8, 3))
    assert dataset.image_shape == (1, 8, 3)
    assert dataset.test_images.shape == (6, 1, 8, 3)
    np.testing.assert_array_equal(load_dataset(folder, (4, 5)).train_images, load_dataset(folder).train_images)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((0, 5), "image_size's height is 0, but must be a whole number of at least 1"),
        ((5, 2.5), "image_size's width is 2.5, but must be a whole number"),
        ((5, np.nan), "image_size's width is nan"),
        ((5, 2**31), "image_size is 5x2147483648, but both sides must be below"),
        ((5,), r"image_size is \(5,\), but must be a height and a width, as \(28, 28\)"),
        (28, "image_size is 28, but must be a height and a width"),
        ("28x28", "image_size is '28x28', but must be a height and a width"),
    ],
)
def test_a_size_that_no_image_has_is_refused(size, message):
    for load in (load_dataset, load_images):
        with pytest.raises(ConfigError, match=message):
            load("mnist", size)


def test_resized_images_and_pictures_from_disk_agree(tmp_path):
    from PIL import Image

    arrays = toy_arrays(size=(12, 12))
    folder = write_idx_folder(tmp_path / "toy", arrays)
    Image.fromarray(arrays["train", "images"][3]).save(tmp_path / "three.png")
    dataset = load_dataset(folder, image_size=(5, 7))
    np.testing.assert_array_equal(load_image(tmp_path / "three.png", dataset.image_shape), dataset.train_images[3])


def test_an_unknown_name_lists_what_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = (
        r"no data set 'minst': there is no file or folder .*minst, and the names known are mnist, fashion-mnist, kmn"
    )
    with pytest.raises(DataError, match=message):
        load_dataset("minst")


def test_other_files_and_empty_folders_are_refused(tmp_path):
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"data\.csv is a \.csv file; give an \.npz file"):
        load_dataset(tmp_path / "data.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds neither IDX files nor class folders; IDX files are named train-"):
        load_dataset(tmp_path / "empty")


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_idx_folder(tmp_path / "mnist", toy_arrays())
    assert len(load_dataset("mnist").train_labels) == 60000
    assert len(load_dataset("./mnist").train_labels) == 24


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_idx_folder(tmp_path / "toy", toy_arrays())
    assert load_dataset("~/toy").name == "toy"


def test_a_folder_here_whose_name_begins_with_a_tilde_is_no_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_idx_folder(tmp_path / "~nobody-has-this-name", toy_arrays())
    assert load_dataset("./~nobody-has-this-name").classes == 3


def test_importing_is_light():
    heavy = ("scipy", "PIL", "pooch", "requests", "matplotlib", "torch")
    code = f"import sys, minikd.data; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "~nobody-has-this-name/x",
            r"the data's path '~nobody-has-this-name/x': .*home directory.*; write the path of the home",
        ),
        ("", "the data's path '' is empty or not valid text"),
        ("a\0b", r"the data's path 'a\\x00b' is empty or not valid text"),
        ("d\udce9", r"the data's path 'd\\xe9' is empty or not valid text .*; rename that folder"),
        ("x" * 5000, "cannot be read: File name too long"),
        (os.devnull, "is a pipe, a socket or a device; give a file or a folder"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(source, message):
    for load in (load_dataset, load_images):
        with pytest.raises(DataError, match=message) as caught:
            load(source)
        assert str(caught.value).encode()


def test_a_folder_behind_a_closed_one_is_told(tmp_path, monkeypatch):
    def closed(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "stat", closed)
    with pytest.raises(DataError, match="toy cannot be read: Permission denied; check the path and its permissions"):
        load_dataset(tmp_path / "toy")


@pytest.mark.parametrize("size", [28, (28,), (28, 28, 1), "28x28", (8.0, 8.0), (None, 8), ["8", "8"]])
@pytest.mark.parametrize("load", [load_dataset, load_images])
def test_what_is_no_height_and_width_is_refused(load, size):
    with pytest.raises(
        ConfigError, match=r"image_size('s (height|width))? is .*, but must be a (height and a width|whole number)"
    ):
        load("mnist", size)


@pytest.mark.parametrize("source", [None, 3, b"mnist", ["mnist"]])
@pytest.mark.parametrize("load", [load_dataset, load_images])
def test_what_is_no_name_or_path_is_refused(load, source):
    with pytest.raises(DataError, match=r"the data are of type .*, but must be a name or a path, such as 'mnist'"):
        load(source)
