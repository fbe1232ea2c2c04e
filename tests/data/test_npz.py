import numpy as np
import pytest

from minikd.data import load_dataset
from minikd.errors import DataError
from tests.data.makers import load_and_split, quietly, toy_arrays

OURS = {"train": ("train_images", "train_labels"), "test": ("test_images", "test_labels")}
KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}


def write(path, names, arrays, parts=("train", "test"), **more):
    named = {}
    for part in parts:
        named[names[part][0]], named[names[part][1]] = arrays[part, "images"], arrays[part, "labels"]
    np.savez_compressed(path, **named, **more)
    return path


@pytest.mark.parametrize("names", [OURS, KERAS])
def test_reads_what_was_written(tmp_path, names):
    arrays = toy_arrays()
    dataset = load_dataset(str(write(tmp_path / "toy.npz", names, arrays, extra=np.array([{}]))))
    assert dataset.name == "toy"
    np.testing.assert_array_equal(dataset.train_images, arrays["train", "images"][:, None])
    np.testing.assert_array_equal(dataset.test_images, arrays["test", "images"][:, None])
    np.testing.assert_array_equal(dataset.train_labels, arrays["train", "labels"])
    np.testing.assert_array_equal(dataset.test_labels, arrays["test", "labels"])


def test_images_and_labels_alone_are_split(tmp_path):
    arrays = toy_arrays(train=36)
    path = write(tmp_path / "toy.npz", {"train": ("images", "labels")}, arrays, parts=("train",))
    dataset = load_and_split(path)
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (30, 6)
    np.testing.assert_array_equal(np.bincount(dataset.test_labels), [2, 2, 2])


def test_class_names_and_colour(tmp_path):
    arrays = toy_arrays()
    for part in ("train", "test"):
        grey = arrays[part, "images"]
        arrays[part, "images"] = np.stack([grey, grey // 2, grey // 3], axis=3)
    dataset = load_dataset(write(tmp_path / "toy.npz", OURS, arrays, class_names=np.array(["ant", "bee", "cow"])))
    assert dataset.class_names == ("ant", "bee", "cow")
    assert dataset.image_shape == (3, 4, 5)
    np.testing.assert_array_equal(dataset.train_images[:, 1], arrays["train", "images"][..., 1])


def test_pickled_objects_are_refused_and_not_loaded(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, images=np.array([{"a": 1}], dtype=object), labels=np.zeros(1, int))
    with pytest.raises(DataError, match=r"objects\.npz cannot be read.*pickled objects, which are refused.*savez"):
        load_dataset(path)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty", "single array"])
def test_damaged_files_are_refused(tmp_path, damage):
    path = write(tmp_path / "bad.npz", OURS, toy_arrays(train=300))
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 3] ^= 0xFF
    elif damage == "single array":
        np.save(tmp_path / "one.npy", np.zeros(3))
        data = (tmp_path / "one.npy").read_bytes()
    else:
        data = {"truncated": data[: len(data) // 2], "text": b"not a zip at all", "empty": b""}[damage]
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"bad\.npz .*(write it|save it) .*np\.savez"):
        load_dataset(path)


def test_a_flipped_byte_anywhere_is_refused_or_harmless(tmp_path):
    arrays = toy_arrays(train=60)
    whole = write(tmp_path / "whole.npz", OURS, arrays).read_bytes()
    refused = 0
    for place in range(0, len(whole), 11):
        (tmp_path / "bad.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            dataset = load_dataset(tmp_path / "bad.npz")
        except DataError:
            refused += 1
        else:  # a date or another field that the arrays do not need
            np.testing.assert_array_equal(dataset.train_images[:, 0], arrays["train", "images"])
    assert refused > 80


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            ["photos"],
            r"holds photos \(4, 2, 2\) uint8, but no training images; name the arrays train_images",
        ),
        (["x_test", "y_test"], r"holds x_test \(4, 2, 2\) uint8, y_test .*, but no training images"),
        (["x_train"], "holds x_train but not y_train; add y_train"),
        (["train_labels"], "holds train_labels but not train_images"),
        (["images", "labels", "test_images"], "holds test_images but not test_labels"),
    ],
)
def test_missing_arrays_are_named(tmp_path, keys, message):
    path = tmp_path / "part.npz"
    np.savez(path, **{key: np.zeros((4, 2, 2), np.uint8) for key in keys})
    with pytest.raises(DataError, match=message):
        load_dataset(path)


def test_pickled_objects_beside_are_among_the_names_found(tmp_path):
    np.savez(tmp_path / "x.npz", photos=np.zeros((4, 2, 2)), notes=np.array([None] * 4))
    with pytest.raises(DataError, match=r"holds photos \(4, 2, 2\) float64, notes \(4,\) object, but no training"):
        load_dataset(tmp_path / "x.npz")


def test_a_label_beyond_every_integer_is_told_as_it_is(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 2, 2)), labels=np.array([0, 2**63], np.uint64))
    with pytest.raises(DataError, match="the highest label is 9223372036854775808, but 2 images cannot show"):
        load_dataset(tmp_path / "x.npz")


@pytest.mark.parametrize("names", [("X", "y"), ("data", "target"), ("x", "y"), ("data", "labels")])
def test_other_customary_names_are_taken_and_it_is_said(tmp_path, names):
    arrays = toy_arrays(train=36)
    path = tmp_path / "toy.npz"
    np.savez(path, **{names[0]: arrays["train", "images"], names[1]: arrays["train", "labels"]})
    dataset, said = quietly(load_dataset, path)
    assert dataset.classes == 3
    assert said[0] == f"{path}: {names[0]} is used as the training images, {names[1]} as their labels"


def test_names_count_in_any_case(tmp_path):
    arrays = toy_arrays()
    names = {"train": ("X_train", "Y_train"), "test": ("X_test", "Y_test")}
    dataset = load_dataset(write(tmp_path / "toy.npz", names, arrays))
    np.testing.assert_array_equal(dataset.test_images, arrays["test", "images"][:, None])


@pytest.mark.parametrize("names", [("val_images", "val_labels"), ("x_val", "y_val"), ("X_valid", "y_valid")])
def test_validation_images_are_the_test_part_where_there_is_no_other(tmp_path, names):
    arrays = toy_arrays()
    more = dict(zip(names, (arrays["test", "images"], arrays["test", "labels"]), strict=True))
    alone = write(tmp_path / "alone.npz", OURS, arrays, parts=("train",), **more)
    dataset, said = quietly(load_dataset, alone)
    np.testing.assert_array_equal(dataset.test_images[:, 0], arrays["test", "images"])
    assert said == [f"{alone}: {names[0]} is used as the test part, because there is no other"]
    beside = write(tmp_path / "beside.npz", OURS, arrays, **{name: array[:3] for name, array in more.items()})
    dataset, said = quietly(load_dataset, beside)
    assert len(dataset.test_images) == 6
    assert said == [f"{beside}: {names[0]} is not used, because minikd takes validation images from the training part"]


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    path = write(tmp_path / "toy.npz", OURS, toy_arrays())

    def closed(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", closed)
    with pytest.raises(DataError, match=r"toy\.npz cannot be read: Permission denied; check the path"):
        load_dataset(path)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, ">f4", np.float16])
def test_arrays_of_any_layout_are_read_as_numpy_reads_them(tmp_path, order, dtype):
    array = np.asarray(np.random.default_rng(0).random((6, 4, 5)), order=order).astype(dtype)
    np.savez(tmp_path / "toy.npz", images=array, labels=np.arange(6) % 2)
    dataset = load_and_split(tmp_path / "toy.npz")
    every = np.concatenate([dataset.train_images, dataset.test_images])
    assert sorted(map(bytes, every)) == sorted(map(bytes, array[:, None].astype(dataset.train_images.dtype)))


def test_a_folder_with_an_npz_says_to_give_the_file(tmp_path):
    write(tmp_path / "toy.npz", OURS, toy_arrays())
    with pytest.raises(DataError, match=r"is a folder with an \.npz file; give the file: .*toy\.npz"):
        load_dataset(tmp_path)
