"""Weights files: a model, and what it takes to use it, in one safetensors file. No pickle, so nothing can run on load.

The tensors have the names and shapes of PyTorch's `state_dict`. The header's metadata holds a JSON text under
"minikd": the layers, and how images must be prepared.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from minikd.backend import to_host
from minikd.errors import CheckpointError, MinikdError
from minikd.files import write_atomically
from minikd.nn import Sequential
from minikd.nn.build import build_sequential
from minikd.typing import Array, Shape


@dataclass(frozen=True)
class Card:
    """What a model expects and means: the image's shape (C, H, W), the pixels' mean and deviation, the classes."""

    name: str
    image: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]


def save_model(path: Path, model: Sequential, card: Card, stage: str = "") -> None:
    """Write the model, its card and what decided it; the file appears whole or not at all. Raises CheckpointError."""
    # One text: safetensors writes several in any order, and a run's files are the same to the byte.
    text = json.dumps({"layers": model.config()["layers"], "card": asdict(card), "stage": stage})
    write_tensors(path, {name: to_host(value) for name, value in model.state_dict().items()}, {"minikd": text})


def stage_of(path: Path) -> str:
    """Return what decided a model, see `minikd.identity`; "" where the file does not say. Raises CheckpointError."""
    try:
        return str(json.loads(read_tensors(path)[1]["minikd"]).get("stage", ""))
    except (KeyError, ValueError, AttributeError):
        return ""


def load_model(path: str | Path) -> tuple[Sequential, Card]:
    """Return the model and its card, on the host.

    Raises CheckpointError for a broken file, one that is not of minikd, and weights that are not finite.
    """
    tensors, metadata = read_tensors(path)
    if "minikd" not in metadata:
        raise CheckpointError(
            f"{path} holds tensors, but not minikd's description of the model; "
            "load such a file into a model of your own: model.load_state_dict(minikd.read_tensors(path)[0])"
        )
    try:
        description = json.loads(metadata["minikd"])
        lists = {key: tuple(description["card"][key]) for key in ("image", "mean", "std", "class_names")}
        card = Card(name=description["card"]["name"], **lists)
        model = build_sequential({"layers": description["layers"]})
        model.load_state_dict(tensors)
    except (MinikdError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not describe its own model: {error}; write it again from a run, or load its arrays into a "
            "model of your own: model.load_state_dict(minikd.read_tensors(path)[0])"
        ) from error
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinity, so no answer could be right; train again")
    return model, card


def write_tensors(path: Path, tensors: dict[str, Array], metadata: dict[str, str]) -> None:
    """Write arrays by name as safetensors, atomically."""
    from safetensors.numpy import save

    # safetensors writes an array's memory as it lies: a view with other strides would be written scrambled. Not by
    # ascontiguousarray, which makes a step count of shape () into one of shape (1,).
    write_atomically(path, save({name: np.asarray(value, order="C") for name, value in tensors.items()}, metadata))


def read_tensors(path: str | Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Return a safetensors file's arrays and metadata. Raises CheckpointError where it is missing or broken."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        raise CheckpointError(f"{path} {found}; give the path of a .safetensors file, as runs/NAME/teacher.safetensors")
    try:
        with safe_open(path, framework="np") as file:
            names: list[str] = file.keys()
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError) as error:  # TypeError: bfloat16, which NumPy has not
        raise CheckpointError(
            f"{path} is broken or not a safetensors file ({error}); train again, or take a copy"
        ) from error
