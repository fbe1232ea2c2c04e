"""Checkpoints: everything that a run needs to continue with the same bits as if it had never stopped.

A checkpoint has the parameters (the model's and the objective's), the layers' state, the optimiser's state, and the
position in the run. It has no random generator. Every random number of training is drawn from a new generator with the
seed (seed, purpose, epoch, step), so the position determines all later random numbers. The schedule is a function of
the step and has no state.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypedDict

from minikd.backends import module_of, to_host
from minikd.errors import CheckpointError
from minikd.storage.reading import excerpt
from minikd.storage.schema import as_type, from_json
from minikd.storage.tensors import read_tensors, write_tensors
from minikd.training import telemetry
from minikd.training.identity import changes
from minikd.typing import Array

Row = dict[str, str | int | float]
"""One line of history.csv."""

TEXTS = ("model", "evaluated_on", "steps")
UNKNOWN = ("accuracy", "nll", *telemetry.COLUMNS)
"""Columns of a row that are NaN if there is no such number."""
COLUMNS = (
    *("model", "epoch", "loss", "accuracy", "nll", "evaluated_on", "learning_rate", "images_per_second", "seconds"),
    *telemetry.COLUMNS,
    "steps",
)
"""The type of a value in a row."""
STEPS = ("graph", "eager", "host", "")
"""How the steps of an epoch were taken, see `Run.how_steps`. In rows of earlier versions it is ""."""

FIX = "remove it, and this training begins again"


@dataclass
class Position:
    """The position in a run: the next epoch and batch, and the sums of the present epoch."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    images: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    telemetry: dict[str, float] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Length:
    """The length of a run. A position beyond it, or not at the beginning of a batch, is invalid."""

    epochs: int
    images: int
    batch_size: int

    @property
    def batches(self) -> int:
        """The batches of an epoch."""
        return math.ceil(self.images / self.batch_size)


class Header(TypedDict):
    """The contents of a checkpoint other than its arrays."""

    position: dict[str, object]
    run: str


def save_checkpoint(path: Path, state: Mapping[str, Array], position: Position, run: str) -> None:
    """Write a run's arrays, completely or not at all.

    `run` identifies plan and data, and must be the same at loading.
    """
    history = [{name: writable(value) for name, value in row.items()} for row in position.history]
    seen = {name: writable(value) for name, value in position.telemetry.items()}
    values = {**asdict(position), "telemetry": seen, "history": history}
    text = json.dumps({"position": values, "run": run}, allow_nan=False)
    write_tensors(path, {name: to_host(value) for name, value in state.items()}, {"minikd-checkpoint": text})


def writable(value: str | int | float) -> str | int | float | None:
    """Return None for NaN and infinities, which JSON cannot express."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load_checkpoint(path: Path, state: Mapping[str, Array], run: str, length: Length) -> Position:
    """Load a checkpoint into a run's arrays, in place, and return its position.

    Raises CheckpointError for a damaged file, for one of another model or optimiser, if plan or data have changed, and
    for a position that does not exist in a run of this length.
    """
    tensors, metadata = read_tensors(path, FIX)
    header = header_of(path, metadata)
    if told := changes(header["run"], run):
        raise CheckpointError(
            f"{path} belongs to another run: {told}; restore it, or start a new run with another --name"
        )
    forms = {name: (value.shape, value.dtype.name) for name, value in state.items()}
    if forms != {name: (value.shape, value.dtype.name) for name, value in tensors.items()}:
        raise CheckpointError(f"{path} holds another model or optimiser than this run; {FIX}")
    try:
        position = position_of(header["position"])
        check_position(position, length)
        check_steps(tensors, position)
    except ValueError as error:
        raise CheckpointError(f"{path} is broken ({excerpt(error)}); {FIX}") from error
    for name, value in tensors.items():
        state[name][...] = module_of(state[name]).asarray(value)
    return position


def header_of(path: Path, metadata: Mapping[str, str]) -> Header:
    """Return the contents of a checkpoint other than its arrays.

    Raises CheckpointError if the file is not a checkpoint.
    """
    try:
        return as_type(from_json(metadata.get("minikd-checkpoint", "")), Header)
    except ValueError as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of minikd ({excerpt(error)}); remove it and start again"
        ) from error


def position_of(values: Mapping[str, object]) -> Position:
    """Return the position from the plain values in a checkpoint. Raises ValueError."""
    if lacking := asdict(Position()).keys() - values.keys():
        raise ValueError(f"its position lacks {', '.join(sorted(lacking))}")
    position = as_type({**values, "telemetry": {}, "history": []}, Position)
    seen = as_type(values["telemetry"], dict[str, float | None])
    position.telemetry = {name: math.nan if value is None else value for name, value in seen.items()}
    position.history = checked_rows(values["history"])
    return position


def check_position(position: Position, length: Length) -> None:
    """Refuse a position that does not exist in a run of this length, and impossible sums. Raises ValueError."""
    epoch, batch, batches = position.epoch, position.batch, length.batches
    if not (0 <= epoch <= length.epochs and 0 <= batch < batches and (batch == 0 or epoch < length.epochs)):
        raise ValueError(f"it is at batch {batch} of epoch {epoch}, of {batches} in each of {length.epochs}")
    if (position.step, position.images) != (epoch * batches + batch, batch * length.batch_size):
        raise ValueError(f"step {position.step} or image {position.images} is not that of batch {batch}, epoch {epoch}")
    if len(position.history) != epoch:
        raise ValueError(f"its history has {len(position.history)} rows, but {epoch} epochs have passed")
    looks = position.telemetry.get("looks", 0)
    if not position.telemetry.keys() <= {*telemetry.COLUMNS, "looks"} or (position.telemetry and not looks >= 1):
        raise ValueError(f"its telemetry is {position.telemetry}")
    if position.seconds < 0:
        raise ValueError(f"its seconds are {position.seconds}")


def check_steps(tensors: Mapping[str, Array], position: Position) -> None:
    """Refuse an optimiser that has taken more steps than the run, or a negative number. Raises ValueError."""
    taken = int(tensors["optimizer.step"])
    if not 0 <= taken <= position.step:
        raise ValueError(f"its optimiser has taken {taken} steps, the run {position.step}")


def checked_rows(rows: object) -> list[Row]:
    """Return rows from plain values.

    Each must be valid, and the epochs of each model consecutive. Raises ValueError.
    """
    if not isinstance(rows, list):
        raise ValueError(f"its history is {excerpt(repr(rows))}, but must be a list of rows")
    found, epochs = [checked_row(row) for row in rows], dict[object, int]()
    for row in found:
        epochs[row["model"]] = wanted = epochs.get(row["model"], 0) + 1
        if row["epoch"] != wanted:
            raise ValueError(f"after epoch {wanted - 1} of {row['model']!r} comes epoch {row['epoch']}")
    return found


def checked_row(row: object) -> Row:
    """Return a checked row, with NaN instead of None for numbers that may be unknown. Raises ValueError."""
    if not isinstance(row, dict) or row.keys() | {"steps"} != set(COLUMNS):
        raise ValueError(f"a row of its history is {excerpt(repr(row))}, but must hold {', '.join(COLUMNS)}")
    row, found = {"steps": "", **row}, Row()
    for name in COLUMNS:
        kind: type[str | int | float] = str if name in TEXTS else int if name == "epoch" else float
        found[name] = math.nan if row[name] is None and name in UNKNOWN else as_type(row[name], kind)
    for name in ("learning_rate", "images_per_second", "seconds"):
        if float(found[name]) < 0:
            raise ValueError(f"{name} is {found[name]}")
    if found["steps"] not in STEPS:
        raise ValueError(f"steps is {found['steps']!r}, but must be one of {', '.join(filter(None, STEPS))}")
    return found
