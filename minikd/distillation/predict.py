"""What the models of a run see in pictures from disk."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np

from minikd.data import Views
from minikd.data.pictures import load_image
from minikd.distillation.class_names import match
from minikd.errors import DataError, MinikdError, SizeError
from minikd.inference import logits_of, named
from minikd.losses import softmax
from minikd.nn import Sequential
from minikd.notices import notice
from minikd.typing import Floats, Pixels
from minikd.weights import Card

BLANK = 8
"""Grey levels of 255 that a picture must span to show anything: a scan of empty paper has a few."""

TURNED = 0.3
"""How much nearer to what a model has learned from a picture's brightness must come, of 0-1, where light and dark are
turned around, for `--invert` to be worth a word: a photograph's is near to both."""


class Prediction(TypedDict):
    """Each model's probabilities for one picture, by class name."""

    image: str
    probabilities: dict[str, dict[str, float]]


class Answering(NamedTuple):
    """A model that answers, its card, and which of its outputs is each class of the first model's."""

    model: Sequential
    card: Card
    order: tuple[int, ...]


def predictions(
    models: Mapping[str, tuple[Sequential, Card]], images: Sequence[Path], invert: bool
) -> tuple[list[Prediction], list[MinikdError]]:
    """Return what each model says of each picture, and what is wrong with the pictures that cannot be read.

    Raises CheckpointError for models of different classes, and Diverged for answers that are NaN or infinite.
    """
    first = next(iter(models))
    names = models[first][1].class_names
    each = {
        name: Answering(model, card, match(card.class_names, names, f"the {name}", f"the {first}"))
        for name, (model, card) in models.items()
    }
    answers: list[Prediction] = []
    failures: list[MinikdError] = []
    for image in images:
        try:
            answers.append(Prediction(image=str(image), probabilities=seen_in(image, each, names, invert)))
        except (DataError, SizeError) as error:
            failures.append(error)
    return answers, failures


def unread(failures: Sequence[MinikdError], images: int) -> MinikdError:
    """Return one error for all pictures that could not be read, of so many."""
    if images == 1:
        return failures[0]
    return DataError(f"{len(failures)} of {images} pictures could not be read: {'; '.join(map(str, failures))}")


def seen_in(
    image: Path, models: Mapping[str, Answering], names: Sequence[str], invert: bool
) -> dict[str, dict[str, float]]:
    """Return the probability that each model gives each class for a picture, prepared as its card says."""
    if image.is_dir():
        raise DataError(f"{image} is a folder; give the pictures in it: {shlex.quote(str(image))}/*.png")
    pixels = {one.card.image: load_image(image, one.card.image, invert) for one in models.values()}
    found = {}
    for name, one in models.items():
        with named(f"the {name}"):
            q = chances(one, pixels[one.card.image])
        found[name] = {label: float(chance) for label, chance in zip(names, q, strict=True)}
    card = next(iter(models.values())).card
    look(pixels[card.image], card, image, invert)
    return found


def chances(one: Answering, pixels: Pixels) -> Floats:
    """Return the probabilities of the classes in a picture, in the first model's order."""
    views = Views(pixels[None], np.zeros(1, np.int64), one.card.mean, one.card.std)
    q: Floats = softmax(logits_of(one.model, views, map))[0]
    return q[list(one.order)]


def look(pixels: Pixels, card: Card, image: Path, invert: bool) -> None:
    """Say of a picture where it shows nothing, or where light and dark seem to be the wrong way round."""
    low, high = int(pixels.min()), int(pixels.max())
    mean, usual = float(pixels.mean()) / 255, float(np.mean(card.mean))
    if high - low < BLANK:
        notice(f"{image} is blank: its pixels are all from {low} to {high}, of 0 to 255; no answer means anything")
    elif abs(mean - usual) - abs(1 - mean - usual) > TURNED:
        how = "leave --invert out" if invert else "give --invert, as for ink on paper"
        kind = "light" if mean > usual else "dark"
        notice(
            f"{image} is much too {kind}{' once inverted' if invert else ''}: its mean is {mean:.2f} of 0 to 1, the "
            f"training images' {usual:.2f}; {how}"
        )
