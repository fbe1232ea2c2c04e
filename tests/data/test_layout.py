"""Which folders are parts and which are classes; each layout as a line of folders, filled with pictures."""

import pytest

from minikd.data import load_dataset
from minikd.errors import DataError
from tests.data.makers import fill, plant, quietly

SPLIT = "there is no test part"


def classes_under(*parts):
    return " ".join(f"{part}/{name}" for part in parts for name in ("cat", "dog"))


@pytest.mark.parametrize(
    ("training", "test"),
    [
        ("training", "testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("train_set", "test_set"),
        ("trainset", "testset"),
        ("training-data", "test-data"),
        ("train images", "test images"),
        ("train_8", "test_3"),
        ("train", "val"),
        ("train", "valid"),
        ("Training", "Validation"),
        ("train", "dev"),
        ("train", "eval"),
        ("train", "holdout"),
        ("seg_train", "seg_test"),
    ],
)
def test_parts_called_otherwise_are_parts_and_it_is_said(tmp_path, training, test):
    for name in ("cat", "dog"):
        fill(tmp_path / training / name, 8, value=10)
        fill(tmp_path / test / name, 3, value=200)
    dataset, said = quietly(load_dataset, tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (16, 6)
    assert dataset.train_images.max() < 200 <= dataset.test_images.min()
    assert said == [f"{tmp_path}: {training} is used as the training part, {test} as the test part"]


def test_train_and_test_need_no_notice(tmp_path):
    assert quietly(load_dataset, plant(tmp_path, classes_under("train", "test")))[1] == []


def test_validation_images_beside_a_test_part_are_left_out_and_it_is_said(tmp_path):
    dataset, said = quietly(load_dataset, plant(tmp_path, classes_under("train", "test", "val")))
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (8, 8)
    assert dataset.test_images.max() < 40 + 4  # the test part is the second that was filled
    assert len(said) == 1
    assert "val is left out (8 pictures), because minikd takes validation images from the training part" in said[0]


@pytest.mark.parametrize("layout", ["a b", "fold1 fold2", "one two three", "2019 2020", "Trainingsdaten Testdaten"])
def test_siblings_with_the_same_classes_are_refused_with_the_question(tmp_path, layout):
    with pytest.raises(
        DataError, match=r"and .* hold folders of the same names \(cat and dog\): it is not clear whether .*name one"
    ):
        load_dataset(plant(tmp_path, classes_under(*layout.split())))


def test_siblings_are_found_behind_a_folder_more(tmp_path):
    with pytest.raises(DataError, match="it is not clear whether these are parts of the data or classes"):
        load_dataset(plant(tmp_path, classes_under("a/images", "b/images")))


@pytest.mark.parametrize(
    ("folders", "shared"),
    [
        ("a/Cat a/Dog b/cat b/dog", "cat and dog"),
        ("a/cat a/dog b/cat", "cat"),  # a test of one class
        ("a/cat b/cat b/dog", "cat"),
        ("a a/cat a/dog b b/cat b/dog", "cat and dog"),  # pictures beside the class folders
        ("a/cat a/dog b b/cat b/dog", "cat and dog"),
    ],
)
def test_siblings_are_found_by_classes_in_any_case_and_beside_other_pictures(tmp_path, folders, shared):
    with pytest.raises(
        DataError, match=rf"a and b hold folders of the same names \({shared}\): it is not clear whether"
    ):
        load_dataset(plant(tmp_path, folders))


@pytest.mark.parametrize(
    "folders",
    [
        "cat/train cat/test dog/train dog/test",
        "cat/Training cat/testing dog/train dog/val",
        "cat dog/train dog/holdout",
    ],
)
def test_classes_with_parts_of_their_own_are_refused_for_they_would_be_mixed(tmp_path, folders):
    with pytest.raises(
        DataError, match=r"holds \w+ and \w+, which would be mixed; if that folder .*, give it, or else put the parts"
    ):
        load_dataset(plant(tmp_path, folders))


@pytest.mark.parametrize(
    "folders",
    ["cat/images dog/images dog/photos", "cat/images cat dog/images", "cat cat/more dog dog/more", "cat/2020/may dog"],
)
def test_folders_below_a_class_belong_to_it(tmp_path, folders):
    dataset, said = quietly(load_dataset, plant(tmp_path, folders))
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.train_labels) + len(dataset.test_labels) == 4 * len(folders.split())
    assert [SPLIT in one for one in said] == [True]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        ("train car bus", ("bus", "car", "train")),
        ("train test car", ("car", "test", "train")),
        ("valid invalid", ("invalid", "valid")),
        ("Trains/ice car car/red", None),
    ],
)
def test_a_class_may_be_called_train_where_pictures_lie_directly_in_it(tmp_path, folders, names):
    plant(tmp_path, folders)
    if names is None:
        with pytest.raises(DataError, match="car beside Trains, which would not be read"):
            load_dataset(tmp_path)
        return
    dataset, said = quietly(load_dataset, tmp_path)
    assert dataset.class_names == names
    assert "here, because pictures are directly in" in said[0]


@pytest.mark.parametrize("folders", ["train/cat train/dog test", "Training/cat Training/dog Testing", "train test"])
def test_pictures_directly_in_a_part_are_refused(tmp_path, folders):
    flat = folders.split()[-1] if "/" in folders else "train"
    message = f"{flat} holds 4 pictures directly, so their classes are unknown; put them into class folders"
    with pytest.raises(DataError, match=message):
        load_dataset(plant(tmp_path, folders))


def test_a_folder_alone_in_another_is_entered_and_it_is_said(tmp_path):
    plant(tmp_path / "pets" / "archive" / "data", classes_under("Train", "Test"))
    (tmp_path / "pets" / "__MACOSX").mkdir()
    dataset, said = quietly(load_dataset, tmp_path / "pets")
    assert (dataset.name, dataset.class_names) == ("pets", ("cat", "dog"))
    assert (
        said[0]
        == f"{tmp_path / 'pets' / 'archive' / 'data'} is read, because it is the only folder in {tmp_path / 'pets'}"
    )
    assert "Train is used as the training part, Test as the test part" in said[1]


def test_a_part_that_repeats_itself_is_entered_and_it_is_said(tmp_path):
    plant(tmp_path, classes_under("seg_train/seg_train", "seg_test/seg_test"))
    dataset, said = quietly(load_dataset, tmp_path)
    assert (dataset.class_names, len(dataset.test_labels)) == (("cat", "dog"), 8)
    assert len(said) == 3


def test_a_part_with_a_single_class_is_not_entered(tmp_path):
    with pytest.raises(DataError, match=r"1 class \(cat\), but"):
        load_dataset(plant(tmp_path, "train/cat/2020 train/cat/2021 test/cat"))


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            classes_under("train", "training"),
            "train and training all sound like the training part: it is not clear whether these are parts",
        ),
        (
            classes_under("train", "test", "holdout"),
            "holdout and test all sound like the test part: it is not clear whether these are parts",
        ),
        (classes_under("train", "extra"), "has extra beside train, which would not be read"),
        (classes_under("train", "test") + " previews", "has previews beside train, which would not be read"),
        (classes_under("test", "val"), "has a folder test and val but no train"),
        (classes_under("Testing"), "has a folder Testing but no train"),
        (classes_under("train") + " test/bird", r"test has the class 'bird', but .*train does not \(cat, dog\)"),
    ],
)
def test_what_nothing_can_tell_is_refused(tmp_path, folders, message):
    with pytest.raises(DataError, match=message):
        load_dataset(plant(tmp_path, folders))


def test_folders_without_pictures_beside_the_parts_do_not_matter(tmp_path):
    plant(tmp_path, classes_under("train", "test"))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "all.csv").write_text("1,2")
    assert quietly(load_dataset, tmp_path)[1] == []


@pytest.mark.parametrize("folders", ["", "train"])
def test_pictures_beside_class_folders_are_left_out_and_it_is_said(tmp_path, folders):
    plant(tmp_path / folders, "cat dog")
    fill(tmp_path / folders, 2)
    dataset, said = quietly(load_dataset, tmp_path)
    assert len(dataset.train_labels) + len(dataset.test_labels) == 8
    assert "left out 2 pictures outside class folders, such as 0.png" in said[0]


def test_an_empty_test_part_is_refused(tmp_path):
    plant(tmp_path, classes_under("train"))
    (tmp_path / "test" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no pictures found in .*test; the layouts"):
        load_dataset(tmp_path)


def test_pictures_without_folders_are_refused_with_what_they_are_for(tmp_path):
    fill(tmp_path, 3)
    with pytest.raises(DataError, match=r"holds 3 pictures and no class folders.*--unlabelled"):
        load_dataset(tmp_path)
