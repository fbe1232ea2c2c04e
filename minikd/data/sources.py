"""From a name or a path to a data set."""

from pathlib import Path

from minikd.data.dataset import Dataset
from minikd.data.idx import read_idx

MNIST_FOLDER = Path(__file__).parent / "mnist"
DIGITS = tuple("0123456789")


def load_dataset(source: str, image_size: tuple[int, int] | None = None) -> Dataset:
    """Return the data set called `source`."""
    train_images = read_idx(MNIST_FOLDER / "train-images-idx3-ubyte.gz")
    train_labels = read_idx(MNIST_FOLDER / "train-labels-idx1-ubyte.gz")
    test_images = read_idx(MNIST_FOLDER / "t10k-images-idx3-ubyte.gz")
    test_labels = read_idx(MNIST_FOLDER / "t10k-labels-idx1-ubyte.gz")
    return Dataset("mnist", train_images[:, None], train_labels, test_images[:, None], test_labels, DIGITS)
