"""Classifies picture files with the models of a run."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np

from minikd.data import Views
from minikd.distillation.class_names import match
from minikd.distillation.measure import tell_rounding
from minikd.distillation.seeing import PictureSettings, PreparedPicture, seen_in
from minikd.errors import DataError, MinikdError, SizeError
from minikd.losses import softmax
from minikd.nn import Sequential
from minikd.training.inference import logits_of, named
from minikd.typing import Floats
from minikd.weights import Card


class Prediction(TypedDict):
    """Each model's probabilities for one picture, by class name; how the picture was prepared for them.

    explained: the path of the figure that shows what the models saw.
    """

    image: str
    prepared: str
    probabilities: dict[str, dict[str, float]]
    explained: NotRequired[str]


class Answering(NamedTuple):
    """A model, its card, and for each class of the first model the number of its own output."""

    model: Sequential
    card: Card
    order: tuple[int, ...]


def predictions(
    models: Mapping[str, tuple[Sequential, Card]],
    images: Sequence[Path],
    invert: bool = False,
    crop: bool = True,
    draw: Callable[[Path, PreparedPicture, Mapping[str, Mapping[str, float]]], Path] | None = None,
) -> tuple[list[Prediction], list[MinikdError]]:
    """Return each model's probabilities for each picture, and an error for each picture that cannot be read.

    invert: light and dark are exchanged. crop: characters are cut out, for models that were trained on cut-out
    characters. draw: draws the picture, what the models saw and their probabilities, and returns the file. Raises
    CheckpointError for models of different classes, and Diverged for answers that are NaN or infinite.
    """
    for name, (model, _) in models.items():
        tell_rounding(f"the {name}", model)
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
            seen, found = classified(image, each, names, PictureSettings(invert, crop))
        except (DataError, SizeError) as error:
            failures.append(error)
            continue
        answers.append(Prediction(image=str(image), prepared=seen.how, probabilities=found))
        if draw:
            answers[-1]["explained"] = str(draw(image, seen, found))
    return answers, failures


def unreadable_error(failures: Sequence[MinikdError], images: int) -> MinikdError:
    """Return one error for all pictures that could not be read. `images` is the number of given pictures."""
    if images == 1:
        return failures[0]
    return DataError(f"{len(failures)} of {images} pictures could not be read: {'; '.join(map(str, failures))}")


def classified(
    image: Path, models: Mapping[str, Answering], names: Sequence[str], ways: PictureSettings
) -> tuple[PreparedPicture, dict[str, dict[str, float]]]:
    """Return what the first model sees of a picture, and the probability of each class from each model."""
    if image.is_dir():
        raise DataError(f"{image} is a folder; give the pictures in it: {shlex.quote(str(image))}/*.png")
    seen: dict[tuple[object, ...], PreparedPicture] = {}
    found = {}
    for name, one in models.items():
        key = (one.card.image, one.card.on_black, one.card.ink_box)  # all models of a run see the same
        if key not in seen:
            seen[key] = seen_in(image, one.card, ways)
        with named(f"the {name}"):
            q = probabilities_of(one, seen[key])
        found[name] = {label: float(chance) for label, chance in zip(names, q, strict=True)}
    return next(iter(seen.values())), found


def probabilities_of(one: Answering, seen: PreparedPicture) -> Floats:
    """Return the probabilities of the classes in a picture, in the first model's order."""
    views = Views(seen.pixels[None], np.zeros(1, np.int64), one.card.mean, one.card.std)
    q: Floats = softmax(logits_of(one.model, views, map))[0]
    return q[list(one.order)]


def drawings(folder: Path, images: Sequence[Path]) -> dict[Path, Path]:
    """Return for each picture a different file in `folder` for its drawing. No file is one of the pictures."""
    taken = {image.resolve() for image in images}
    found = {}
    for image in dict.fromkeys(images):
        path, number = folder / f"{image.stem}.png", 2
        while path.resolve() in taken:
            path, number = folder / f"{image.stem}-{number}.png", number + 1
        taken.add(path.resolve())
        found[image] = path
    return found
