"""Disk cache of teacher outputs for unaugmented images.

An experiment trains dozens of students on one teacher's outputs. A file's name is a digest of the teacher's weights,
the pixels and the requested layers. So outputs are never out of date, and never those of another teacher. If a file is
damaged, the outputs are computed again.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minikd.backends import module_of, to_host
from minikd.console.notices import notice
from minikd.data import Views
from minikd.errors import CheckpointError
from minikd.models import describe
from minikd.nn import Sequential
from minikd.storage.tensors import read_tensors, write_tensors
from minikd.typing import Floats

Outputs = tuple[Floats, dict[str, Floats]]

ROWS = 10_000
"""The number of images that are digested at a time."""


def cached_outputs(
    folder: Path, teacher: Sequential, views: Views, layers: tuple[str, ...], compute: Callable[[], Outputs]
) -> Outputs:
    """Return the teacher's outputs for the clean views: from the folder, or else computed and stored there.

    As from `inference.outputs_of`, they are the logits (N, K) and, by number, the outputs of `layers`.
    """
    path = folder / f"{digest(teacher, views, layers)}.safetensors"
    if path.exists():
        try:
            return read(path, views, layers)
        except CheckpointError as error:
            notice(f"{error}: the teacher computes them again")
    logits, taps = compute()
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(path, {"logits": logits, **taps}, {"minikd-answers": "logits"})
    return logits, taps


def read(path: Path, views: Views, layers: tuple[str, ...]) -> Outputs:
    """Return the outputs in a file. Raises CheckpointError for a damaged file."""
    tensors, _ = read_tensors(path, "it is written again")
    if tensors.keys() != {"logits", *layers} or tensors["logits"].ndim != 2:
        raise CheckpointError(f"{path} holds no answers of these layers; it is written again")
    found = {name: np.asarray(value, views.dtype) for name, value in tensors.items()}
    return found["logits"], {name: found[name] for name in layers}


def digest(teacher: Sequential, views: Views, layers: tuple[str, ...]) -> str:
    """Return a digest of the network with its weights, of the pixels and of the requested layers."""
    asked = (layers, views.mean, views.std, views.dtype, views.images.shape, views.images.dtype)
    found = hashlib.sha256(repr((describe(teacher), module_of(teacher.vector).__name__, asked)).encode())
    for name, value in teacher.state_dict().items():
        found.update(name.encode() + np.ascontiguousarray(to_host(value)).tobytes())
    for start in range(0, len(views.images), ROWS):
        found.update(np.ascontiguousarray(views.images[start : start + ROWS]).data)
    return found.hexdigest()[:32]
