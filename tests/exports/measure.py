"""Print the errors in results/export.md, on MNIST's test images: `python -m tests.exports.measure WEIGHTS ...`."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import minikd
from minikd.data import Views
from minikd.exports.calibration import RULES
from minikd.exports.integer import QuantizedConv2d, integer_logits
from minikd.exports.quantize import calibration_images, quantize, steps_of
from minikd.models import describe
from minikd.nn import Conv2d, Linear
from minikd.training.parallel import workers
from minikd.weights import load_model

HEADER = (
    "| network | float32 | maximum | percentile | squared error | free scales | border of black |\n"
    "|---|---|---|---|---|---|---|"
)


def main():
    digits = minikd.load_dataset("mnist")
    print(HEADER, flush=True)
    for path in map(Path, sys.argv[1:]):
        model, card = load_model(path)
        whole = {rule: quantize(model, card, digits.train_images, rule) for rule in RULES}
        found = [wrong(integer_logits(one, digits.test_images), digits) for one in whole.values()]
        with workers() as map_:
            floats = wrong(answers(model.__call__, card, digits, map_), digits)
            free = wrong(answers(with_free_scales(model, card, digits), card, digits, map_), digits)
        black = wrong(integer_logits(with_black_border(whole["squared_error"]), digits.test_images), digits)
        border = black if any(isinstance(layer, Conv2d) for layer in model.layers) else "–"
        print(
            f"| {describe(model)} | {floats} | {found[0]} | {found[1]} | {found[2]} | {free} | {border} |", flush=True
        )


def wrong(logits, digits):
    return int((logits.argmax(1) != digits.test_labels).sum())


def answers(forward, card, digits, map_):
    """Return the logits of all test images, a hundred at a time."""
    views = Views(digits.test_images, digits.test_labels, card.mean, card.std)
    parts = map_(lambda i: forward(views.clean(slice(i, i + 100))), range(0, len(views), 100))
    return np.concatenate(list(parts))


def with_free_scales(model, card, digits):
    """Return a forward pass in 8 bits whose scales are any number: weights by output, activations by their maximum."""
    layers = []
    x = Views(calibration_images(digits.train_images), np.zeros(250, int), card.mean, card.std).clean()
    for named, relu in steps_of(model):
        layer, scale = named.layer.astype("float32"), None
        x = layer.forward(x)[0]
        if relu:
            x = np.maximum(x, 0)
            scale = float(x.max()) / 255
        if isinstance(layer, Linear | Conv2d):
            rows = layer.params["weight"].reshape(len(layer.params["weight"]), -1)
            steps = np.abs(rows).max(1, keepdims=True) / 127
            rows[...] = np.rint(rows / steps) * steps
        layers.append((layer, scale))

    def forward(x):
        for layer, scale in layers:
            x = layer.forward(x)[0]
            if scale:
                x = np.clip(np.rint(x * (1 / scale)), 0, 255) * scale
        return x

    return forward


def with_black_border(whole):
    """Return the network with a first convolution that pads with black, as if its input were not normalised."""

    def black(layer):
        return replace(layer, border=np.zeros_like(layer.border)) if isinstance(layer, QuantizedConv2d) else layer

    return replace(whole, layers=tuple(map(black, whole.layers)))


if __name__ == "__main__":
    main()
