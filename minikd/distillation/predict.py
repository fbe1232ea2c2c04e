"""What the models of a finished run see in a picture from disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from minikd.data import Views
from minikd.data.pictures import load_image
from minikd.errors import ConfigError
from minikd.losses import softmax
from minikd.nn import Sequential
from minikd.report.evidence import MODELS
from minikd.weights import Card, load_model


class Prediction(TypedDict):
    """Each model's probabilities for one picture, by class name."""

    image: str
    probabilities: dict[str, dict[str, float]]


def newest_run(runs: Path) -> Path:
    """Return the folder of the run that ended last. Raises ConfigError where there is none."""
    ended = sorted(runs.glob("*/results.json"), key=lambda path: path.stat().st_mtime)
    if not ended:
        raise ConfigError(
            f"there is no finished run in {runs}; make one with minikd distill, or name one with --run DIR"
        )
    return ended[-1].parent


def predictions(folder: Path, images: Sequence[Path], invert: bool) -> list[Prediction]:
    """Return what each model in a run's folder says of each picture.

    Raises ConfigError, DataError and CheckpointError.
    """
    found = {name: folder / f"{name}.safetensors" for name in MODELS if (folder / f"{name}.safetensors").exists()}
    if not found:
        raise ConfigError(f"{folder} holds no weights of a run; give a folder that minikd distill has written")
    models = {name: load_model(path) for name, path in found.items()}
    return [
        Prediction(
            image=str(image),
            probabilities={name: chances(model, card, image, invert) for name, (model, card) in models.items()},
        )
        for image in images
    ]


def chances(model: Sequential, card: Card, image: Path, invert: bool) -> dict[str, float]:
    """Return the probability that a model gives each class for a picture, prepared as its card says."""
    pixels = load_image(image, card.image, invert)[None]
    views = Views(pixels, np.zeros(1, np.int64), card.mean, card.std)
    q = softmax(model(views.clean()))[0]
    return {label: float(chance) for label, chance in zip(card.class_names, q, strict=True)}
