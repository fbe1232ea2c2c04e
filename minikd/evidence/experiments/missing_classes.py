"""Transfer sets that lack some classes, and a correction of the biases.

A student that never sees a class learns from soft targets what it looks like. But it considers the class too rare, or
the classes that it sees too common. One number corrects this: the biases of some classes are all moved by it. Moving a
class's bias moves its logit by the same number, so nothing needs to be trained or evaluated again.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from minikd.distillation.job import Job
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import Recipe
from minikd.nn import Sequential
from minikd.training.inference import logits_of
from minikd.training.parallel import workers
from minikd.typing import Floats, Ints

MOVES = [step / 10 for step in sorted(range(-200, 201), key=abs)]
"""The moves that are tried: from -20 to 20 in tenths, the smallest move first."""


def only_classes(classes: Sequence[int], data: Data, recipe: Recipe, folder: Path) -> Data:
    """Return the data with only images of these classes in the transfer set."""
    every = data.transfer
    rows = np.flatnonzero(np.isin(every.labels, classes))
    return replace(data, transfer=replace(every, images=every.images[rows], labels=every.labels[rows]))


def errors_on(classes: Sequence[int], job: Job, model: Sequential, logits: Floats) -> dict[str, float]:
    """Return the test errors on the classes whose biases are moved, and all test errors after the move.

    "chosen": with the move that is best on the held-out images. "test-tuned": with the move that is best on the test
    images, as in the paper; this gives too few errors.
    """
    labels, watched = job.data.test.labels, job.data.watched
    with workers(job.threads) as map_:
        held_out = logits_of(model, watched, map_)
    found = {"moved classes": float(errors(logits, labels, classes))}
    for name, move in {
        "chosen": best_move(held_out, watched.labels, classes),
        "test-tuned": best_move(logits, labels, classes),
    }.items():
        after = with_moved_logits(logits, classes, move)
        found |= {f"{name} move": move, name: float(errors(after, labels))}
        found[f"{name}, moved classes"] = float(errors(after, labels, classes))
    return found


def with_moved_logits(logits: Floats, classes: Sequence[int], move: float) -> Floats:
    """Return the logits (N, K) with `move` added to those of these classes."""
    after = logits.copy()
    after[:, list(classes)] += move
    return after


def best_move(logits: Floats, labels: Ints, classes: Sequence[int]) -> float:
    """Return the move with the fewest errors; of several, the smallest."""
    return min(MOVES, key=lambda move: errors(with_moved_logits(logits, classes, move), labels))


def errors(logits: Floats, labels: Ints, classes: Sequence[int] | None = None) -> int:
    """Return the number of wrong samples, of all or of these classes."""
    wrong = logits.argmax(axis=1) != labels
    return int(np.count_nonzero(wrong if classes is None else wrong & np.isin(labels, classes)))
