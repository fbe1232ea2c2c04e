"""A teacher's logits for images that never change, kept in a folder for all who ask the same teacher the same.

An experiment trains dozens of students on one teacher's answers. A file's name is a digest of the teacher's weights and
of the pixels, so an answer can neither be stale nor belong to others.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minikd.backend import module_of, to_host
from minikd.data import Views
from minikd.files import write_atomically
from minikd.models import describe
from minikd.nn import Sequential
from minikd.typing import Floats

ROWS = 10_000
"""Images that are digested at a time."""


def kept(folder: Path, teacher: Sequential, views: Views, compute: Callable[[], Floats]) -> Floats:
    """Return the teacher's logits (N, K) for the clean views: from the folder, else computed and left there."""
    path = folder / f"{digest(teacher, views)}.npy"
    if path.exists():
        found: Floats = np.load(path)
        return found
    logits, buffer = to_host(compute()), io.BytesIO()
    np.save(buffer, logits)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return logits


def digest(teacher: Sequential, views: Views) -> str:
    """Return what tells a question from every other: the network, its weights and statistics, pixels, normalisation."""
    circumstances = (describe(teacher), views.mean, views.std, views.dtype, views.images.shape, views.images.dtype)
    found = hashlib.sha256(repr((*circumstances, module_of(teacher.vector).__name__)).encode())
    for name, value in teacher.state_dict().items():
        found.update(name.encode() + np.ascontiguousarray(to_host(value)).tobytes())
    for start in range(0, len(views.images), ROWS):
        found.update(np.ascontiguousarray(views.images[start : start + ROWS]).data)
    return found.hexdigest()[:32]
