import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data.assembly import assemble, channels_second
from minikd.errors import DataError


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 6, 7), (5, 1, 6, 7)),
        ((5, 3, 6, 7), (5, 3, 6, 7)),
        ((5, 6, 7, 3), (5, 3, 6, 7)),
        ((5, 6, 7, 1), (5, 1, 6, 7)),
    ],
)
def test_channels_come_second(shape, expected):
    images = numbered(*shape)
    moved = channels_second(images, "here")
    assert moved.shape == expected
    pixel = images[4, 5, 6] if shape[1:3] == (6, 7) else images[4, :, 5, 6]
    np.testing.assert_array_equal(moved[4, :, 5, 6], np.ravel(pixel))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 3, 9, 3), r"shape \(5, 3, 9, 3\) could be \(N, C, H, W\) or \(N, H, W, C\); give grey"),
        ((5, 1, 9, 3), "could be"),
        ((5, 8, 9, 4), r"shape \(5, 8, 9, 4\) have no channel axis.*transparency"),
        ((5, 784), r"shape \(5, 784\), but must be \(N, H, W\).*reshape rows"),
        ((5,), "reshape rows"),
    ],
)
def test_refuses_the_ambiguous_and_the_unknown(shape, message):
    with pytest.raises(DataError, match=f"here: images .*{message}"):
        channels_second(np.zeros(shape, np.uint8), "here")


def test_classes_are_counted_and_named():
    dataset = assemble("toy", (numbered(4, 2, 2), np.array([0, 2, 1, 0])), (numbered(2, 2, 2), np.array([2, 0])))
    assert dataset.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(dataset.test_labels, [2, 0])


def test_without_a_test_part_one_sixth_of_each_class_becomes_it():
    labels = np.repeat([0, 1], [60, 30])
    images = np.arange(90, dtype=np.uint8)[:, None, None] * np.ones((90, 2, 2), np.uint8)  # its number in each pixel
    with pytest.warns(
        Notice, match="toy: there is no test part, so a sixth of the images, 15 of 90, becomes the test part"
    ):
        dataset, again = (assemble("toy", (images, labels), None, ("a", "b")) for _ in range(2))
    np.testing.assert_array_equal(np.bincount(dataset.test_labels), [10, 5])
    numbers = np.concatenate([dataset.train_images[:, 0, 0, 0], dataset.test_images[:, 0, 0, 0]])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(90))  # each image in exactly one part
    np.testing.assert_array_equal(labels[dataset.test_images[:, 0, 0, 0]], dataset.test_labels)
    np.testing.assert_array_equal(dataset.test_images, again.test_images)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3, 0], "no training image has class 2"),
        ([0, 1, 10**9, 0], r"the highest label is 1000000000, but 4 images cannot show 1000000001 .*return_inverse"),
        ([0, 1, 1], "4 images but 3 labels"),
        ([0.0, 1.0, 1.0, 0.0], "labels are float64"),
        ([], "no labels|labels are float64"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(DataError, match=f"toy, train: .*{message}|toy: {message}"):
        assemble("toy", (numbered(4, 2, 2), np.array(labels)), (numbered(2, 2, 2), np.array([0, 1])))


def test_too_few_images_to_split():
    with pytest.raises(
        DataError, match=r"toy: 3 images of 2 classes are too few to take a test part from.*at least two of each"
    ):
        assemble("toy", (numbered(3, 2, 2), np.array([0, 1, 0])), None)
