"""Networks and data to export: small, of every layer, with weights and statistics that no layer starts with."""

import numpy as np

from minikd.data import Dataset, mean_and_std
from minikd.nn import (
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)
from minikd.weights import Card


def shaken(model, seed):
    """Return the model with every weight, bias and running statistic drawn anew."""
    rng = np.random.default_rng(seed)
    for name, value in {**model.params, **model.state}.items():
        if value.dtype.kind == "f":
            low = 0.5 if name.endswith(("running_var", "norm")) else None
            value[...] = rng.uniform(0.5, 2, value.shape) if low else value + rng.normal(0, 0.1, value.shape)
    return model


def pictures(shape, classes, count=40, seed=0, names=None):
    """Return a data set of random pixels, each class in both parts."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = np.arange(count) % classes
    return Dataset(
        "pictures",
        images,
        labels,
        images[::-1].copy(),
        labels[::-1].copy(),
        names or tuple(f"kind {k}" for k in range(classes)),
    )


def card_of(data, name="model"):
    mean, std = mean_and_std(data.train_images)
    return Card(name, data.image_shape, mean, std, data.class_names)


def of_every_layer(rng):
    """Return networks for images (3, 9, 8) and 5 classes that hold every layer, and every way of a convolution."""

    def head(model, *more):
        size = int(np.prod(Sequential(*model).output_shape((3, 9, 8))))
        layers = [layer.copy() for layer in model]
        return Sequential(*layers, Flatten(), Linear(size, 7, rng), *more, Linear(7, 5, rng))

    def block():
        return Residual(Conv2d(6, 6, 3, rng, padding=1), BatchNorm2d(6), Residual(Tanh()), Sequential(ReLU()))

    return {
        "dense": head([], ReLU()),
        "no bias": Sequential(Conv2d(3, 4, 3, rng, bias=False), ReLU(), Flatten(), Linear(168, 5, rng, bias=False)),
        "dense norm": head([], BatchNorm1d(7), LeakyReLU(0.2), LayerNorm(7)),
        "plain": head([Conv2d(3, 4, 3, rng), ReLU(), MaxPool2d(2)], Sigmoid()),
        "stride": head([Conv2d(3, 4, (3, 2), rng, stride=(2, 1), padding=(1, 0)), GELU()], GELU()),
        "far": head([Conv2d(3, 4, 3, rng, stride=2, padding=2, dilation=(2, 1)), Tanh(), AvgPool2d(2)], Dropout(0.5)),
        "wide border": head([Conv2d(3, 2, 1, rng, padding=3, stride=3), ReLU()]),
        "groups": head([Conv2d(3, 6, 3, rng, groups=3), BatchNorm2d(6), Conv2d(6, 4, 2, rng, groups=2), ReLU()]),
        "overlap": head([MaxPool2d(3, 1, 1), AvgPool2d((3, 2), (2, 1), (1, 1))]),
        "residual": head([Conv2d(3, 6, 1, rng), block(), MaxPool2d((2, 3), 2), LayerNorm((4, 3))], Dropout(0.1)),
        "mean": Sequential(Conv2d(3, 5, 3, rng), Sequential(GlobalAvgPool2d(), Flatten())),
        "whole norm": head([LayerNorm((3, 9, 8)), ReLU()]),
    }


def in_whole_numbers(rng):
    """Return networks for images (3, 9, 8) and 5 classes that int8 can follow."""
    return {
        "dense": Sequential(Flatten(), Linear(216, 12, rng), ReLU(), Linear(12, 9, rng), ReLU(), Linear(9, 5, rng)),
        "no bias": Sequential(
            *(Conv2d(3, 4, 3, rng, bias=False), BatchNorm2d(4), ReLU(), Flatten(), Linear(168, 5, rng, bias=False)),
        ),
        "one": Sequential(Flatten(), Linear(216, 5, rng)),
        "conv": Sequential(
            *(Conv2d(3, 6, 3, rng, padding=1), MaxPool2d(2), BatchNorm2d(6), ReLU()),
            *(Conv2d(6, 4, 3, rng, padding=1, groups=2), ReLU(), MaxPool2d(2, 1, 1)),
            *(Flatten(), Linear(4 * 5 * 5, 5, rng)),
        ),
        "stride": Sequential(
            *(Conv2d(3, 4, (3, 2), rng, stride=(2, 1), padding=(2, 1), dilation=(1, 2)), ReLU(), Dropout(0.3)),
            *(Flatten(), Linear(4 * 6 * 8, 5, rng)),
        ),
    }


def at_random(rng, whole):
    """Return a network of random layers for images (3, 9, 8) and 5 classes; `whole`: one that int8 can follow."""
    layers, shape = [], (3, 9, 8)
    for _ in range(rng.integers(1, 6)):
        more = [one_at_random(rng, shape, whole)]
        if whole and isinstance(more[0], Conv2d):
            more += [*([BatchNorm2d(more[0].out_channels)] if rng.random() < 0.5 else []), ReLU()]
        for layer in more:
            layers.append(layer)
            shape = layer.output_shape(shape)
    layers += [Flatten(), Linear(int(np.prod(shape)), 6, rng), ReLU(), Linear(6, 5, rng)]
    return Sequential(*layers)


def one_at_random(rng, shape, whole):
    """Return a layer that takes images of this shape."""
    C, size = shape[0], np.array(shape[1:])
    kernel = rng.integers(1, np.minimum(size, 3) + 1)
    stride = rng.integers(1, 3, 2)
    pool = (tuple(map(int, kernel)), tuple(map(int, stride)), tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel))
    simple = [MaxPool2d(*pool), Dropout(0.2)]
    if not whole:
        simple += [
            ReLU(),
            LeakyReLU(0.3),
            Sigmoid(),
            Tanh(),
            GELU(),
            AvgPool2d(*pool),
            BatchNorm2d(C),
        ]
        simple += [LayerNorm(each) for each in (shape, shape[-1:]) if np.prod(each) > 1]
        simple += [GlobalAvgPool2d(), Residual(Tanh(), BatchNorm2d(C)), Sequential(ReLU())]
    if rng.random() < 0.5:
        return simple[rng.integers(len(simple))]
    groups = int(rng.choice([g for g in (1, 2, 3) if C % g == 0]))
    dilation = [int(rng.integers(1, 3)) if 2 * (k - 1) < n else 1 for k, n in zip(kernel, size, strict=True)]
    padding = [int(p) for p in rng.integers(0, 3, 2)]
    return Conv2d(C, groups * int(rng.integers(1, 4)), pool[0], rng, pool[1], padding, dilation, groups)
