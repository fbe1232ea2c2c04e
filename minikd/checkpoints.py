"""Checkpoints: all that a run needs to go on with the same bits as if it had never stopped.

A checkpoint holds the parameters (the model's, and what its objective trains beside it), the layers' state, the
optimiser's state, and how far the run has come. It holds no
generator: every random number of training is drawn from a fresh generator seeded by (seed, purpose, epoch, step), so
the position in the run *is* the state of the randomness. The schedule is a function of the step, and needs nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from minikd.backend import module_of, to_host
from minikd.errors import CheckpointError
from minikd.identity import changes
from minikd.typing import Array
from minikd.weights import read_tensors, write_tensors

Row = dict[str, str | int | float]
"""One line of history.csv."""


@dataclass
class Position:
    """How far a run has come: the epoch and the batch that come next, and what the epoch under way has seen."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    images: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    telemetry: dict[str, float] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)


def save_checkpoint(path: Path, state: Mapping[str, Array], position: Position, run: str) -> None:
    """Write a run's arrays atomically; `run` identifies plan and data, and must be the same when it is loaded."""
    text = json.dumps({"position": asdict(position), "run": run})
    write_tensors(path, {name: to_host(value) for name, value in state.items()}, {"minikd-checkpoint": text})


def load_checkpoint(path: Path, state: Mapping[str, Array], run: str) -> Position:
    """Bring a run's arrays to where the checkpoint was written, in place, and return its position.

    Raises CheckpointError for a broken file, another model's or optimiser's, and where plan or data have changed.
    """
    tensors, metadata = read_tensors(path)
    try:
        header = json.loads(metadata["minikd-checkpoint"])
        position = Position(**header["position"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of minikd ({error!r}); remove it and start again") from error
    if header.get("run") != run:
        raise CheckpointError(
            f"{path} belongs to another run: {changes(header.get('run'), run)}; restore that, "
            "or start afresh under another --name"
        )
    shapes = {name: value.shape for name, value in state.items()}
    if shapes != {name: value.shape for name, value in tensors.items()}:
        raise CheckpointError(f"{path} holds another model or optimiser than the one to go on with")
    for name, value in tensors.items():
        state[name][...] = module_of(state[name]).asarray(value)
    return position
