"""Measures a finished model: its errors, its calibration, its size and its speed."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from minikd import metrics
from minikd.backends import Backend, module_of, to_host
from minikd.compression.whole import InWholeNumbers
from minikd.console.notices import notice
from minikd.data import Dataset, Views, load_dataset
from minikd.distillation.class_names import match
from minikd.distillation.prepare import check_fits
from minikd.distillation.results import ModelResult, interval_of
from minikd.models import describe
from minikd.nn import Conv2d, Linear, Sequential
from minikd.training import Evaluation
from minikd.training.inference import logits_of, named
from minikd.training.parallel import Map
from minikd.typing import Floats
from minikd.weights import Card, load_model

REPEATS = 3
"""The number of passes over the test set. The median time counts."""

SINGLES = 200
"""The number of images that are timed one at a time. The median counts."""


def measure(model: Sequential, views: Views, map_: Map) -> tuple[Floats, ModelResult]:
    """Return the model's logits for all of `views`, and its row of the table. Raises Diverged for NaN or infinity."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        logits = logits_of(model, views, map_)
        seconds.append(time.perf_counter() - start)
    image, wrong = views.images.shape[1:], metrics.errors(logits, views.labels)
    return logits, ModelResult(
        model=describe(model),
        parameters=model.size,
        bytes=stored_bytes(model),
        macs=model.macs(image),
        errors=wrong,
        errors_interval=interval_of(metrics.wilson_interval(wrong, len(views))),
        accuracy=metrics.accuracy(logits, views.labels),
        nll=metrics.nll(logits, views.labels),
        ece=metrics.ece(logits, views.labels),
        images_per_second=len(views) / median(seconds),
        latency_ms=1000 * latency(model, views),
    )


def stored_bytes(model: Sequential) -> int:
    """Return the bytes of a model's weights: in C if the model computes in whole numbers, else in memory."""
    if isinstance(model, InWholeNumbers):
        return model.stored_bytes
    return sum(value.nbytes for value in model.state_dict().values())


class FileResult(ModelResult):
    """A weights file's row, and the images that it was measured on: `images` of the `part` of a data set."""

    data: str
    part: str
    images: int


def tell_rounding(who: str, model: Sequential) -> None:
    """Say that a model was trained to compute in whole numbers, but computes in float32 here."""
    if model.activation_bits:
        notice(
            f"{who} was trained with whole numbers, which limit large activations; in float32, as here, its answers "
            "differ. `minikd export --quantize` measures its errors with whole numbers"
        )


def measure_files(
    paths: Sequence[Path], source: str, size: tuple[int, int] | None, backend: Backend, map_: Map
) -> dict[str, FileResult]:
    """Return the rows of weights files on a data set's test images, prepared as each model was trained.

    Classes are matched by name. All checks come before the first measurement.
    """
    models = {str(path): load_model(path, "float32") for path in paths}
    for path, (model, _) in models.items():
        tell_rounding(path, model)
    dataset = load_dataset(source, size)
    tests = {path: test_of(card, dataset, path) for path, (_, card) in models.items()}
    found = {}
    for path, (model, _) in models.items():
        with named(path):
            row = measure(model.to(backend), tests[path], map_)[1]
        found[path] = FileResult(**row, data=dataset.name, part="test", images=len(tests[path]))
    return found


def test_of(card: Card, dataset: Dataset, path: str) -> Views:
    """Return the test images normalised for a model, with labels in the order of its classes."""
    check_fits(card, dataset, path)
    order = match(card.class_names, dataset.class_names, path, dataset.name)
    return Views(dataset.test_images, np.array(order)[dataset.test_labels], card.mean, card.std)


def latency(model: Sequential, views: Views) -> float:
    """Return the median seconds from one image's pixels to its logits on the host, in a batch of one."""
    xp, seconds = module_of(model.vector), []
    for i in range(SINGLES):
        start = time.perf_counter()
        to_host(model(xp.asarray(views.clean(slice(i % len(views), i % len(views) + 1)))))
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def evaluate_epoch(model: Sequential, views: Views, name: str, map_: Map) -> Evaluation:
    """Return the measurement of a model after each epoch."""
    logits = logits_of(model, views, map_)
    return Evaluation(metrics.accuracy(logits, views.labels), metrics.nll(logits, views.labels), name)


def first_filters(model: Sequential, image: Sequence[int]) -> Floats | None:
    """Return the first layer's weights as pictures, on the host: (O, C, R, S), or (units, C, H, W) of a dense layer."""
    for layer in model.layers:
        if isinstance(layer, Conv2d):
            return to_host(layer.params["weight"])
        if isinstance(layer, Linear):
            pictures: Floats = to_host(layer.params["weight"]).reshape(-1, *image)
            return pictures
    return None
