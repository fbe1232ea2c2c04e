"""The table of `minikd predict`: the best classes of each model, side by side."""

import textwrap
from collections.abc import Mapping

from minikd.console.layout import WIDE, aligned
from minikd.console.terminal import one_line
from minikd.distillation.predict import Prediction
from minikd.distillation.results import MODELS


def predictions_table(prediction: Prediction, top: int, width: int) -> str:
    """Return how a picture was prepared, and below it the `top` best classes of each model, side by side."""
    head = one_line(prediction["image"]), *textwrap.wrap(prediction["prepared"], min(width, WIDE))
    columns = prediction["probabilities"]
    room = max(4, (min(width, WIDE) - 2) // len(columns) - 10)
    ranked = [likeliest(chances, top, room) for chances in columns.values()]
    rows = [(str(place), *cells) for place, cells in enumerate(zip(*ranked, strict=True), 1)]
    header = ("", *(MODELS[name] for name in columns))
    return "\n".join([*head, aligned([header], rows)])


def likeliest(chances: Mapping[str, float], top: int, room: int) -> list[str]:
    """Return a model's best classes as text, each name in at most `room` columns, with its probability."""
    best = sorted(chances, key=chances.__getitem__, reverse=True)[:top]
    names = [one_line(name) for name in best]
    cut = [name if len(name) <= room else f"{name[: room - 1]}…" for name in names]
    widest = max(map(len, cut))
    return [f"{name:<{widest}} {chances[key]:>6.1%}" for name, key in zip(cut, best, strict=True)]
