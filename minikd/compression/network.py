"""Turns a student into a network that trains with rounded or pruned weights, and turns the network into a student."""

from collections.abc import Callable

import numpy as np

from minikd.backends import to_host
from minikd.compression.layers import Compressed, CompressedConv2d, CompressedLinear, Compression, RoundedReLU
from minikd.compression.whole import InWholeNumbers
from minikd.errors import ConfigError, DtypeError
from minikd.exports.quantize import activation_bits, quantize, steps_of
from minikd.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.nn.layer import Layer
from minikd.typing import Pixels
from minikd.weights import Card

TAKES = (Linear, Conv2d, MaxPool2d, Flatten, ReLU, Dropout)
"""The layers that can be compressed in training."""


def compressed(model: Sequential, how: Compression, card: Card, images: Pixels) -> Sequential:
    """Return the network that is trained instead of the model. `images` are training pixels (N, C, H, W).

    If it rounds, they must be uint8, and the initial scales of activations are those that the export would choose for
    the present model. Raises ConfigError for a network that cannot be compressed, with the layer and the reason.
    """
    check(model, how, card, images)
    host = model.converted(to_host)
    scales = iter(activation_bits(steps_of(host), card, images, "squared_error") if how.quantize else [])
    weighted = [i for i, layer in enumerate(model.layers) if isinstance(layer, Linear | Conv2d)]
    layers: list[Layer] = []
    for i, layer in enumerate(model.layers):
        if isinstance(layer, Linear | Conv2d):
            unit = 255 * card.std[0] / 256 if i == weighted[0] else 1.0
            kind = CompressedLinear if isinstance(layer, Linear) else CompressedConv2d
            layers.append(kind(layer, how, unit, last=i == weighted[-1]))
        elif isinstance(layer, ReLU) and how.quantize:
            layers.append(RoundedReLU(next(scales), how, model.vector))
        else:
            layers.append(layer.copy())
    return Sequential(*layers)


def check(model: Sequential, how: Compression, card: Card, images: Pixels) -> None:
    """Refuse what cannot be compressed in training. Raises ConfigError and DtypeError."""
    for i, layer in enumerate(model.layers):
        if not isinstance(layer, TAKES):
            raise ConfigError(
                f"layer {i}, {layer.in_one_line()}, cannot be compressed while it trains: --quantize and --prune take "
                "dense layers, convolutions, max pooling, ReLU and dropout; leave other layers out of the student, "
                "or train without these flags and add --int8 to minikd export, which folds batch norm"
            )
    if how.quantize and card.image[0] > 1:
        raise ConfigError(
            f"--quantize trains on grey images, but these have {card.image[0]} channels; leave "
            f"it out, and add --quantize {how.quantize} to minikd export afterwards"
        )
    if how.quantize and images.dtype != np.uint8:
        raise DtypeError(
            f"--quantize takes pixels as bytes, but these images are {images.dtype}; store them as uint8 in 0-255"
        )


def uncompressed(model: Sequential) -> Sequential:
    """Return the student of a compressed network: minikd's layers with the small weights."""
    layers: list[Layer] = []
    for layer in model.layers:
        if isinstance(layer, Compressed):
            layers.append(layer.to_layer())
        else:
            layers.append(ReLU() if isinstance(layer, RoundedReLU) else layer.copy())
    made = Sequential(*layers)
    made.activation_bits = tuple(layer.bits for layer in model.layers if isinstance(layer, RoundedReLU))
    return made


def train_small(
    student: Sequential, how: Compression, card: Card, images: Pixels, train: Callable[[Sequential], None]
) -> None:
    """Let `train` train a student with rounded or pruned weights. Afterwards the student has these weights."""
    small = compressed(student, how, card, images)
    train(small)
    done = uncompressed(small)
    student.load_state_dict(done.state_dict())
    student.activation_bits = done.activation_bits


def in_whole_numbers(model: Sequential, kind: str, card: Card, images: Pixels) -> InWholeNumbers:
    """Return the finished student with the outputs of its export. `images` are the data set's training pixels."""
    return InWholeNumbers(model, quantize(model, card, images, kind=kind), card)
