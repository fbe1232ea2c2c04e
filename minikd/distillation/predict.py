"""What the models of a finished run see in a picture from disk."""

from pathlib import Path
from typing import TypedDict

import numpy as np

from minikd.data import Views
from minikd.data.pictures import load_image
from minikd.errors import ConfigError
from minikd.losses import softmax
from minikd.report.evidence import MODELS
from minikd.weights import load_model


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


def predictions(folder: Path, image: Path, invert: bool) -> Prediction:
    """Return what each model in a run's folder says of a picture. Raises ConfigError, DataError, CheckpointError."""
    found = {name: folder / f"{name}.safetensors" for name in MODELS if (folder / f"{name}.safetensors").exists()}
    if not found:
        raise ConfigError(f"{folder} holds no weights of a run; give a folder that minikd distill has written")
    probabilities = {}
    for name, path in found.items():
        model, card = load_model(path)
        pixels = load_image(image, card.image, invert)[None]
        views = Views(pixels, np.zeros(1, np.int64), card.mean, card.std)
        chances = softmax(model(views.clean()))[0]
        probabilities[name] = {label: float(chance) for label, chance in zip(card.class_names, chances, strict=True)}
    return Prediction(image=str(image), probabilities=probabilities)
