import numpy as np
import pytest

from minikd.data import Dataset
from minikd.errors import DataError

IMAGES = np.zeros((4, 1, 2, 3), np.uint8)
LABELS = np.array([0, 1, 1, 0])


def made(train_images=IMAGES, train_labels=LABELS, test_images=IMAGES, test_labels=LABELS, class_names=("cat", "dog")):
    return Dataset("pets", train_images, train_labels, test_images, test_labels, class_names)


def test_properties_and_kept_dtypes():
    dataset = made(train_labels=LABELS.astype(np.uint8))
    assert dataset.image_shape == (1, 2, 3)
    assert dataset.classes == 2
    assert dataset.train_images is IMAGES
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64


def test_float_images_become_float32_and_labels_lose_a_column():
    halves = np.full(IMAGES.shape, 0.5)
    dataset = made(train_images=halves, test_images=halves, train_labels=LABELS[:, None])
    assert dataset.train_images.dtype == np.float32
    assert dataset.train_images[0, 0, 0, 0] == 0.5
    np.testing.assert_array_equal(dataset.train_labels, LABELS)


def spoiled(value, dtype=np.float32):
    images = np.zeros(IMAGES.shape, dtype)
    images[2, 0, 1, 1] = value
    return images


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0]}, r"pets, train: no pixels.*\(0, 1, 2, 3\)"),
        ({"test_images": IMAGES[:, :, :0]}, r"pets, test: no pixels.*\(4, 1, 0, 3\)"),
        ({"test_labels": LABELS[:0]}, "pets, test: no labels"),
        ({"test_labels": LABELS[:3]}, "pets, test: 4 images but 3 labels; give each image exactly one"),
        ({"train_images": IMAGES[:, 0]}, r"shape \(4, 2, 3\).*must be \(N, C, H, W\).*images\[:, None\]"),
        ({"train_images": np.zeros((4, 2, 3, 3), np.uint8)}, r"2 channels .*must have 1 \(grey\) or 3.*np.moveaxis"),
        ({"train_images": IMAGES.astype(np.int32)}, r"int32, but must be uint8 .*astype\('uint8'\)"),
        ({"train_images": spoiled(np.nan)}, r"pets, train: image 2 holds nan \(1 of 4 .*np.nan_to_num"),
        ({"train_images": spoiled(-np.inf)}, r"image 2 holds -inf"),
        ({"train_images": spoiled(np.inf)}, r"image 2 holds inf"),
        ({"train_images": spoiled(255.0)}, r"0-1, but image 2 spans 0 to 255; divide by 255"),
        ({"train_images": spoiled(-0.5)}, r"0-1, but image 2 spans -0.5 to 0"),
        ({"train_labels": np.array([0, 1, 2, 0])}, r"label 2 at sample 2 is outside 0 to 1 \(2 classes\); number"),
        ({"test_labels": np.array([0, -1, 1, 0])}, r"pets, test: label -1 at sample 1 is outside 0 to 1"),
        ({"train_labels": LABELS.astype(float)}, r"float64 \(the first is .*0.0.*whole numbers.*astype\(int\)"),
        ({"train_labels": np.array(["cat", "dog"] * 2)}, r"labels are <U3 .*'cat'.*np.unique"),
        ({"train_labels": np.eye(4, 2)}, r"labels have shape \(4, 2\).*labels.argmax\(axis=1\)"),
        ({"train_labels": np.zeros(4, int)}, r"no training image has class 1 \('dog'\); add images of it, or leave"),
        ({"train_labels": np.zeros(4, int), "class_names": ("cat",), "test_labels": np.zeros(4, int)}, "at least 2"),
        ({"test_images": IMAGES[:, :, :1]}, r"training images are \(1, 2, 3\) .* but test images \(1, 1, 3\)"),
        ({"test_images": IMAGES / np.float32(255)}, "training images are uint8 but test images float32"),
    ],
)
def test_refuses_with_the_value_and_the_fix(change, message):
    with pytest.raises(DataError, match=message):
        made(**change)


@pytest.mark.parametrize("name", ["train_images", "test_images", "train_labels", "test_labels"])
def test_a_mask_is_not_dropped(name):
    values = np.ma.masked_array(IMAGES if name.endswith("images") else LABELS)
    assert type(getattr(made(**{name: values}), name)) is np.ndarray
    values[1] = np.ma.masked
    with pytest.raises(DataError, match=f"pets, {name[:4].rstrip('_')}.*: some values are masked"):
        made(**{name: values})


def test_a_long_list_of_absent_classes_is_cut_short():
    names = tuple(f"class{i}" for i in range(12))
    with pytest.raises(DataError, match=r"class 2 \('class2'\), .*6 \('class6'\) and 5 more"):
        made(class_names=names)


def test_is_frozen():
    with pytest.raises(AttributeError):
        made().name = "other"


def test_is_shown_by_what_it_holds_and_not_by_its_numbers():
    assert repr(made()) == "Dataset 'pets': 4 training and 4 test images of 1x2x3, uint8, 2 classes"
