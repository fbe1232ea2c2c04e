"""A model's outputs for many images, in evaluation mode. They are computed a few at a time, and are on the host."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from minikd.backends import device_errors, module_of, to_host
from minikd.data import Views
from minikd.errors import DataError, Diverged
from minikd.nn import Sequential
from minikd.training.parallel import Map
from minikd.typing import Floats

LOOK_AT = 100
"""The number of images at a time. The activations of more would not fit into the cache."""

LOOK_AT_ON_DEVICE = 2000
"""The same for a device. The host waits for each part, so fewer parts take less time."""


def logits_of(model: Sequential, views: Views, map_: Map) -> Floats:
    """Return the logits (N, K) of all clean images, in evaluation mode, on the host."""
    return outputs_of(model, views, map_)[0]


@device_errors()
def outputs_of(
    model: Sequential, views: Views, map_: Map, layers: tuple[str, ...] = ()
) -> tuple[Floats, dict[str, Floats]]:
    """Return the logits of all clean images, and the outputs of the given layers (by name or number), on the host.

    The model is in evaluation mode. Raises DataError if there are no images, and Diverged if the logits give no
    probabilities.
    """
    if not len(views):
        raise DataError("there are no images; give at least one")
    xp = module_of(model.vector)
    count = LOOK_AT if xp is np else LOOK_AT_ON_DEVICE

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # `check_answers` reports it once
    def look(start: int) -> dict[str, Floats]:
        images = xp.asarray(views.clean(slice(start, start + count)))
        if not layers:
            return {"": to_host(model(images))}
        logits, taps, _ = model.forward_with_taps(images, layers)
        return {"": to_host(logits)} | {name: to_host(value) for name, value in taps.items()}

    parts = list(map_(look, range(0, len(views), count)))
    logits, *taps = (np.concatenate([part[name] for part in parts]) for name in ("", *layers))
    check_answers(logits)
    return logits, dict(zip(layers, taps, strict=True))


def check_answers(logits: Floats) -> None:
    """Raise Diverged for logits (N, K) that give no probabilities. Minus infinity is allowed: it excludes a class."""
    broken = int((~np.isfinite(logits.max(axis=1))).sum())
    if broken:
        raise Diverged(
            f"the model's answers to {broken} of {len(logits)} images are NaN or infinite, so no probabilities follow: "
            "its weights are too large; train again, with a lower learning rate"
        )


def try_out(model: Sequential, views: Views, who: str) -> None:
    """Compute a model's outputs for the first images, before a student learns from it. Raises Diverged."""
    with named(who):
        logits_of(model, replace(views, images=views.images[:LOOK_AT], labels=views.labels[:LOOK_AT]), map)


@contextmanager
def named(who: str) -> Iterator[None]:
    """Add the model's name to an error about its outputs."""
    try:
        yield
    except Diverged as error:
        raise Diverged(f"{who}: {error}") from error
