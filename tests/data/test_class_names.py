import os

import numpy as np
import pytest

from minikd.data import Dataset, load_dataset
from minikd.errors import DataError
from tests.data.makers import load_and_split, plant, toy_arrays

ACCENTED = ("caf\u00e9", "cafe\u0301")
"""The same word, with an accented letter and with an accent behind its letter."""


def npz(path, names):
    arrays = toy_arrays(train=36)
    np.savez(path, images=arrays["train", "images"], labels=arrays["train", "labels"], class_names=names)
    return path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ant", "bee", "cow"], ("ant", "bee", "cow")),
        ([b"ant", b"bee", "caf\u00e9".encode()], ("ant", "bee", "caf\u00e9")),
        ([[b"ant"], [b"bee"], [b"cow"]], ("ant", "bee", "cow")),
        ([" ant", "bee ", "\tcow\n"], ("ant", "bee", "cow")),
        (["ant\0\0", "bee", "cow"], ("ant", "bee", "cow")),
        ([7, 8, 10], ("7", "8", "10")),
    ],
)
def test_names_are_read_as_text_without_padding(tmp_path, names, expected):
    assert load_and_split(npz(tmp_path / "toy.npz", np.array(names))).class_names == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ant", "bee", "ant"], "classes 0 and 2 are both called 'ant'; give each class its own name"),
        (["ant", "bee", "ant "], "classes 0 and 2 are both called 'ant'"),
        ([b"ant", b"bee", b"bee"], "classes 1 and 2 are both called 'bee'"),
        (["ant", *ACCENTED], "classes 1 and 2 are both called"),
        (["ant", "", "cow"], "class 1 is called '', but a name must be text of 1 to 255 characters"),
        (["ant", "  ", "cow"], "class 1 is called ''"),
        (["ant", "b" * 256, "cow"], "class 1 is called 'b*', but a name must be text of 1 to 255 characters"),
        (["ant", "b\x1b[31m", "cow"], r"class 1 is called 'b\\x1b\[31m', .* without control characters"),
        ([b"ant", b"bee", b"caf\xe9"], r"class name 2 is the bytes b'caf\\xe9', which are not UTF-8"),
        (["ant", "bee"], r"class_names has 2 names \(ant, bee\), but labels go up to 2; give one name for each class"),
        (["ant", "bee", "cow", "dog"], r"no training image has class 3 \('dog'\)"),
        ([], r"class_names has 0 names"),
        ("ant", r"class_names has shape \(\), but must be \(K,\)"),
        ([["ant", "bee"], ["cow", "dog"]], r"class_names has shape \(2, 2\)"),
        ([0.5, 1.5, 2.5], "class_names is float64, but must be text"),
        ([True, False, True], "class_names is bool, but must be text"),
    ],
)
def test_names_that_do_not_name_each_class_are_refused(tmp_path, names, message):
    array = np.array(names, dtype=str) if names == [] else np.array(names)
    with pytest.raises(DataError, match=message):
        load_dataset(npz(tmp_path / "toy.npz", array))


ALIKE = [("ant", " ant"), ("ant", "ant\u200b"), ("ant", "\u202eant"), ("an ant", "an\u00a0ant"), ("an ant", "an  ant")]


@pytest.mark.parametrize(
    "names", [("ant", "ant"), ACCENTED, ("ant", ""), ("ant", "\u00a0\u200d"), ("ant", 1), ("ant", "\udce9"), *ALIKE]
)
def test_a_data_set_made_in_python_is_checked_too(names):
    images, labels = np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 1, 0, 1])
    with pytest.raises(DataError, match="toy: class"):
        Dataset("toy", images, labels, images, labels, names)


@pytest.mark.parametrize("names", ["ab", {"a", "b"}, {0: "a", 1: "b"}, iter(("a", "b")), None, 2, b"ab"])
def test_names_without_an_order_are_refused(names):
    images, labels = np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 1, 0, 1])
    with pytest.raises(
        DataError, match=r"toy: class_names is a \w+, but must be a tuple .* in the order of the labels"
    ):
        Dataset("toy", images, labels, images, labels, names)


@pytest.mark.parametrize("kind", [list, np.array, lambda names: tuple(map(np.str_, names))])
def test_names_are_kept_as_plain_texts_that_nobody_can_change(kind):
    images, labels = np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 1, 0, 1])
    names = kind(["ant", "bee"])
    found = Dataset("toy", images, labels, images, labels, names)
    if not isinstance(names, tuple):
        names[0] = "cow"
    assert found.class_names == ("ant", "bee")
    assert {type(name) for name in found.class_names} == {str}


def test_a_class_folder_whose_name_is_no_text_is_refused(tmp_path):
    plant(tmp_path, "cat dog")
    try:
        (tmp_path / "dog").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("this file system takes names of UTF-8 alone")
    with pytest.raises(DataError, match=r"has a class folder 'caf\\xe9', whose name is not valid text") as caught:
        load_dataset(tmp_path)
    assert str(caught.value).encode()


def test_class_folders_whose_names_look_alike_are_refused(tmp_path):
    plant(tmp_path, " ".join(("cat", *ACCENTED)))
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system takes both names for one")
    with pytest.raises(DataError, match=r"names look alike: 'cafe\\u0301' and 'caf\\xe9'; merge them, or rename one"):
        load_dataset(tmp_path)


def test_a_class_is_the_same_however_its_accents_are_written(tmp_path):
    plant(tmp_path, f"train/cat train/{ACCENTED[0]} test/cat test/{ACCENTED[1]}")
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("caf\u00e9", "cat")
    np.testing.assert_array_equal(np.bincount(dataset.test_labels), [4, 4])


def test_class_folders_that_differ_by_blanks_alone_are_refused(tmp_path):
    plant(tmp_path, "dog")
    for name in ("cat", "cat "):
        plant(tmp_path / name, ".")
    with pytest.raises(DataError, match="classes 0 and 1 are both called 'cat '; give each class its own name"):
        load_dataset(tmp_path)
