"""Files and data sets that the tests of this folder read."""

import gzip
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from minikd.console.notices import Notice
from minikd.data import load_dataset

MNIST_NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


def idx_bytes(array, code=8):
    header = bytes([0, 0, code, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def write_idx(path, array):
    data = idx_bytes(array)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def toy_arrays(train=24, test=6, size=(4, 5), classes=3, seed=0):
    """Grey (N, H, W) images and labels in which every class appears."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        arrays[part, "images"] = rng.integers(0, 256, (count, *size), dtype=np.uint8)
        arrays[part, "labels"] = (np.arange(count) % classes).astype(np.uint8)
    return arrays


def write_idx_folder(folder, arrays, suffix=""):
    folder.mkdir(exist_ok=True)
    for key, array in arrays.items():
        write_idx(folder / (MNIST_NAMES[key] + suffix), array)
    return folder


def load_and_split(source, **options):
    """A data set without a test part: the notice that one is held back is demanded."""
    with pytest.warns(
        Notice, match=r"there is no test part, so a sixth of the images, \d+ of \d+, becomes the test part"
    ):
        return load_dataset(source, **options)


def fill(folder, count, value=100, size=(4, 5), colour=False):
    """Write `count` flat pictures of the values value, value + 1, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.full((*size, 3) if colour else size, value + i, np.uint8)
        if colour:
            pixels[..., 0] //= 2
        Image.fromarray(pixels).save(folder / f"{i}.png")


def plant(root, folders, count=4):
    """Fill each of the folders, a line of words, with `count` flat pictures; the values differ between folders."""
    for number, folder in enumerate(folders.split()):
        fill(root / folder, count, value=10 * number)
    return root


def quietly(load, source, **options):
    """What is loaded, and the notices that came with it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", Notice)
        loaded = load(source, **options)
    assert all(one.category is Notice for one in said)
    return loaded, [str(one.message) for one in said]


def chunk(kind, data):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
