import numpy as np
import pytest

from minikd.data import load_dataset
from minikd.errors import DataError
from tests.data.makers import load_and_split, quietly, toy_arrays, write_idx, write_idx_folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_mnists_names(tmp_path, suffix):
    arrays = toy_arrays()
    dataset = load_dataset(str(write_idx_folder(tmp_path / "toy", arrays, suffix)))
    assert (dataset.name, dataset.class_names, dataset.image_shape) == ("toy", ("0", "1", "2"), (1, 4, 5))
    np.testing.assert_array_equal(dataset.train_images, arrays["train", "images"][:, None])
    np.testing.assert_array_equal(dataset.test_labels, arrays["test", "labels"])


def test_reads_dots_before_idx_and_prefers_the_unpacked_file(tmp_path):
    folder = write_idx_folder(tmp_path / "toy", toy_arrays())
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
    (folder / "train-images.idx3-ubyte.gz").write_bytes(b"older and damaged")
    assert len(load_dataset(folder).train_images) == 24


def test_reads_colour(tmp_path):
    arrays = toy_arrays()
    for part in ("train", "test"):
        arrays[part, "images"] = np.repeat(arrays[part, "images"][..., None], 3, axis=3)
    folder = write_idx_folder(tmp_path / "toy", arrays)
    assert load_dataset(folder).image_shape == (3, 4, 5)


def test_without_test_files_a_sixth_is_split_off(tmp_path):
    arrays = {key: array for key, array in toy_arrays(train=36).items() if key[0] == "train"}
    dataset = load_and_split(write_idx_folder(tmp_path / "toy", arrays))
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (30, 6)


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ([("train", "images")], "train labels"),
        ([("test", "images"), ("test", "labels")], "train images and train labels"),
        ([("train", "images"), ("train", "labels"), ("test", "images")], "test labels"),
    ],
)
def test_missing_files_are_named(tmp_path, present, missing):
    arrays = {key: array for key, array in toy_arrays().items() if key in present}
    folder = write_idx_folder(tmp_path / "toy", arrays)
    with pytest.raises(DataError, match=f"toy has no file of {missing} .found: .*ubyte.*t10k-images-idx3-ubyte"):
        load_dataset(folder)


def test_a_damaged_file_is_named(tmp_path):
    folder = write_idx_folder(tmp_path / "toy", toy_arrays())
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="train-images-idx3-ubyte is truncated"):
        load_dataset(folder)


def test_images_and_labels_swapped(tmp_path):
    folder = write_idx_folder(tmp_path / "toy", toy_arrays())
    write_idx(folder / "train-images-idx3-ubyte", np.zeros(24, np.uint8))
    with pytest.raises(DataError, match=r"toy, train: images have shape \(24,\)"):
        load_dataset(folder)


@pytest.mark.parametrize("given", ["", "data", "data/MNIST", "data/MNIST/raw"])
def test_torchvisions_folders_are_found_from_any_of_them(tmp_path, given):
    (tmp_path / "data" / "MNIST" / "processed").mkdir(parents=True)
    folder = write_idx_folder(tmp_path / "data" / "MNIST" / "raw", toy_arrays())
    dataset, said = quietly(load_dataset, tmp_path / given)
    assert (dataset.name, len(dataset.train_labels)) == ("MNIST", 24)
    expected = (
        []
        if given == "data/MNIST/raw"
        else [f"{folder} is read, because it has the IDX files of {tmp_path / given} lie"]
    )
    assert said == expected


def test_several_sets_below_a_folder_are_refused_by_name(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name).mkdir()
        write_idx_folder(tmp_path / name / "raw", toy_arrays())
    with pytest.raises(DataError, match=r"holds 2 data sets; give one of .*FashionMNIST.raw, .*MNIST.raw"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("beside", [False, True])
def test_a_folder_that_holds_the_file_of_its_name_stands_for_it_and_a_file_wins(tmp_path, beside):
    inner = toy_arrays(seed=1)
    for path in list(write_idx_folder(tmp_path / "toy", inner).iterdir()):
        aside = path.rename(path.with_suffix(".aside"))
        path.mkdir()
        aside.rename(path / path.name)
    arrays = toy_arrays(seed=2)
    if beside:
        for path in list(write_idx_folder(tmp_path / "dots", arrays).iterdir()):
            path.rename(tmp_path / "toy" / path.name.replace("-idx", ".idx"))
    dataset = load_dataset(tmp_path / "toy")
    np.testing.assert_array_equal(dataset.train_images[:, 0], (arrays if beside else inner)["train", "images"])


def test_a_link_to_idx_files_elsewhere_is_refused(tmp_path):
    elsewhere = write_idx_folder(tmp_path / "elsewhere", toy_arrays())
    (tmp_path / "toy").mkdir()
    for path in elsewhere.iterdir():
        (tmp_path / "toy" / path.name).symlink_to(path)
    with pytest.raises(DataError, match=r"ubyte is a link to .*elsewhere.*, which lies outside of .*toy"):
        load_dataset(tmp_path / "toy")


def test_names_count_in_any_case(tmp_path):
    folder = write_idx_folder(tmp_path / "toy", toy_arrays())
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.upper())
    assert len(load_dataset(folder).train_labels) == 24
