"""The networks of the main job, for any image size, channel count and number of classes."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from minikd.errors import ConfigError, ShapeError, SizeError
from minikd.nn import BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.nn.layer import Layer
from minikd.settings import with_new_name
from minikd.typing import Shape


def cnn(image: Shape, classes: int, rng: np.random.Generator, dropout: float = 0.0) -> Sequential:
    """Return the teacher: conv 3x3x32, pool 2, conv 3x3x64, pool 2, dense 128, dense `classes`.

    The pooling is before the ReLU. The order does not change the result, because ReLU never decreases. So the ReLU
    computes only a quarter of the data.
    """
    features = [
        *(Conv2d(image[0], 32, 3, rng, padding=1), MaxPool2d(2), ReLU()),
        *(Conv2d(32, 64, 3, rng, padding=1), MaxPool2d(2), ReLU()),
    ]
    return _with_dense_head(features, image, classes, rng, dropout)


def deep_cnn(image: Shape, classes: int, rng: np.random.Generator, dropout: float = 0.0) -> Sequential:
    """Return a deeper teacher with three times the work: conv 32, pool, conv 64 twice, pool, conv 128, pool, dense 128.

    All convolutions are 3x3 with batch norm. The batch norm is after the pooling, on a quarter of the data.
    """
    features = [
        *(Conv2d(image[0], 32, 3, rng, padding=1), MaxPool2d(2), BatchNorm2d(32), ReLU()),
        *(Conv2d(32, 64, 3, rng, padding=1), BatchNorm2d(64), ReLU()),
        *(Conv2d(64, 64, 3, rng, padding=1), MaxPool2d(2), BatchNorm2d(64), ReLU()),
        *(Conv2d(64, 128, 3, rng, padding=1), MaxPool2d(2), BatchNorm2d(128), ReLU()),
    ]
    return _with_dense_head(features, image, classes, rng, dropout)


def vgg(image: Shape, classes: int, rng: np.random.Generator, dropout: float = 0.0) -> Sequential:
    """Return a teacher for images of any size: conv 32, pool, conv 64 twice, pool, conv 128, pool, dense 128.

    All convolutions are 3x3, without batch norm, so that the shards of a batch can be computed in parallel. It follows
    VGG (Simonyan & Zisserman 2015, arXiv:1409.1556). For larger images, the first convolution has a stride, so that 20
    to 40 positions of the shorter side are left. So a larger image takes little more work.
    """
    stride = math.ceil(min(image[1:]) / 40)
    features = [
        *(Conv2d(image[0], 32, 3, rng, stride, padding=1), MaxPool2d(2), ReLU()),
        *(Conv2d(32, 64, 3, rng, padding=1), ReLU()),
        *(Conv2d(64, 64, 3, rng, padding=1), MaxPool2d(2), ReLU()),
        *(Conv2d(64, 128, 3, rng, padding=1), MaxPool2d(2), ReLU()),
    ]
    return _with_dense_head(features, image, classes, rng, dropout)


def original_cnn(image: Shape, classes: int, rng: np.random.Generator, dropout: float = 0.0) -> Sequential:
    """Return the teacher of the notebook that minikd grew from: conv 5x5x32, pool 5, dense 128, dense `classes`."""
    features = [Conv2d(image[0], 32, 5, rng), MaxPool2d(5), ReLU()]
    return _with_dense_head(features, image, classes, rng, dropout)


def mlp(
    image: Shape,
    hidden: tuple[int, ...],
    classes: int,
    rng: np.random.Generator,
    batch_norm: bool = False,
    pool: int = 1,
) -> Sequential:
    """Return the student: a dense layer with ReLU for each of `hidden`, and a dense layer to the classes.

    batch_norm: batch norm before each ReLU, for the training; `nn.folding.folded` removes it afterwards. pool: max
    pooling of the image before the first layer; 1 is none. Raises ShapeError if the image is smaller.
    """
    first, image = pooled(image, pool)
    sizes = (math.prod(image), *hidden)
    layers = [*first, Flatten()]
    with sized(f"the student {'-'.join(map(str, (*sizes, classes)))}", "--image-size, --student-hidden"):
        for inputs, outputs in pairwise(sizes):
            layers += [Linear(inputs, outputs, rng), *([BatchNorm1d(outputs)] if batch_norm else []), ReLU()]
        return Sequential(*layers, Linear(sizes[-1], classes, rng, init="glorot"))


def small_cnn(
    image: Shape, channels: tuple[int, ...], classes: int, rng: np.random.Generator, pool: int = 1
) -> Sequential:
    """Return a small convolutional student: conv 3x3, pool 2 and ReLU for each of `channels`, then dense `classes`.

    pool: max pooling of the image before the first convolution; 1 is none. With channels (16, 32) it has 20,490
    parameters on MNIST. Raises ShapeError if the image is too small for the poolings.
    """
    layers, shape = pooled(image, pool)
    for outputs in channels:
        block = [Conv2d(shape[0], outputs, 3, rng, padding=1), MaxPool2d(2), ReLU()]
        layers += block
        shape = Sequential(*(layer.copy() for layer in block)).output_shape(shape)
    return Sequential(*layers, Flatten(), Linear(math.prod(shape), classes, rng, init="glorot"))


def pooled(image: Shape, pool: int) -> tuple[list[Layer], Shape]:
    """Return the layers that pool an image before a network (none for 1), and the shape of their output."""
    layers: list[Layer] = [MaxPool2d(pool)] if pool > 1 else []
    return layers, layers[0].output_shape(image) if layers else image


def wide_mlp(image: Shape, classes: int, rng: np.random.Generator, dropout: float = 0.0) -> Sequential:
    """Return the teacher of Hinton et al. 2015, §3: two hidden layers of 1200.

    Dropout is in both. If there is dropout, it also drops one in five pixels (Hinton et al. 2012, arXiv:1207.0580).
    """
    inputs, pixels = math.prod(image), [Dropout(0.2)] if dropout else []
    layers: list[Layer] = [Flatten(), *pixels]
    for before in (inputs, 1200):
        layers += [Linear(before, 1200, rng), ReLU(), *([Dropout(dropout)] if dropout else [])]
    return Sequential(*layers, Linear(1200, classes, rng, init="glorot"))


def __getattr__(name: str) -> object:
    told = "models.seed_cnn is called models.original_cnn now"
    raise AttributeError(told if name == "seed_cnn" else f"module 'minikd.models' has no attribute {name!r}")


TEACHERS: dict[str, Callable[[Shape, int, np.random.Generator, float], Sequential]] = {
    "cnn": cnn,
    "deep": deep_cnn,
    "vgg": vgg,
    "original": original_cnn,
    "wide": wide_mlp,
}


def teacher(name: str, image: Shape, classes: int, rng: np.random.Generator, dropout: float) -> Sequential:
    """Return a teacher by its name in a recipe."""
    name = with_new_name("model", name, TEACHERS)
    if name not in TEACHERS:
        raise ConfigError(f"teacher.model is {name!r}, but must be one of {', '.join(TEACHERS)}")
    size = f"images of {image[1]}x{image[2]}"
    try:
        with sized(f"the teacher {name!r} for {size}", "--image-size"):
            return TEACHERS[name](image, classes, rng, dropout)
    except ShapeError as error:
        raise ShapeError(f"the teacher {name!r} cannot take {size}: {error}") from error


@contextmanager
def sized(what: str, flags: str) -> Iterator[None]:
    """Add the network and the flags that decide its size to any error of too little memory in this block."""
    try:
        yield
    except SizeError as error:
        raise SizeError(f"{what} is too large: {error} ({flags})") from error


def describe(model: Sequential) -> str:
    """Return a model's shape in a few words, as "conv 3x3x32 · pool 2 · dense 128 · dense 10", or "784-128-10"."""
    words = []
    for layer in model.layers:
        if isinstance(layer, Conv2d):
            words.append(f"conv {layer.kernel_size[0]}x{layer.kernel_size[1]}x{layer.out_channels}")
        elif isinstance(layer, MaxPool2d):
            words.append(f"pool {layer.kernel_size[0]}")
        elif isinstance(layer, Linear):
            words.append(f"dense {layer.out_features}")
    dense = [layer for layer in model.layers if isinstance(layer, Linear)]
    if dense and len(dense) == len(words):
        return "-".join(str(size) for size in (dense[0].in_features, *(layer.out_features for layer in dense)))
    return " · ".join(words)


def _with_dense_head(
    features: list[Layer], image: Shape, classes: int, rng: np.random.Generator, dropout: float
) -> Sequential:
    """Return the features, then dense 128, dropout if wanted, and a dense layer to the classes."""
    shape = image
    for layer in features:
        shape = layer.output_shape(shape)
    drop = [Dropout(dropout)] if dropout else []
    head = [Flatten(), Linear(math.prod(shape), 128, rng), ReLU(), *drop, Linear(128, classes, rng, init="glorot")]
    return Sequential(*features, *head)
