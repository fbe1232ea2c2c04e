"""For `minikd info FILE`: what a file of minikd is, and whether its checksum is right."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from minikd.console.layout import paragraph
from minikd.distillation.history import CHECKSUM, LIMIT, read_history
from minikd.distillation.recipe import is_sealed, read_recipe, recipe_text
from minikd.distillation.results import checked_results
from minikd.distillation.search import Record
from minikd.errors import CheckpointError, MinikdError
from minikd.evidence.experiments.cell import Outcome
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.memory import in_words
from minikd.models import describe
from minikd.storage.jsonfiles import KEY, broken_file, checked_table, json_of
from minikd.storage.reading import check_file, excerpt, read_text, system_errors
from minikd.storage.schema import as_type
from minikd.storage.tensors import has_checksum, read_tensors
from minikd.training.checkpoints import header_of
from minikd.weights import load_model

RIGHT, NONE = "checksum right", "no checksum: written by an earlier version or another program"
EDITED = "edited since minikd wrote it"


class Content(TypedDict):
    """A file: what it is, its size, and the result of its checksum. `error` says what is wrong; "" if nothing is."""

    path: str
    what: str
    bytes: int
    checksum: str
    error: str


def contents_of(paths: Sequence[Path]) -> list[Content]:
    """Return what each file is; for a folder, each file in it that minikd may read again."""
    files: list[Path] = []
    for path in paths:
        inside = sorted(one for one in path.rglob("*") if one.suffix in READERS) if path.is_dir() else []
        files += inside or [path]
    return [content_of(file) for file in files]


def content_of(path: Path) -> Content:
    """Return what a file is. If it is missing or damaged, its `error` says so."""
    try:
        if path.is_dir():
            return empty(path)
        check_file(path, "give the path of a file that minikd has written", CheckpointError)
        what, seal = READERS.get(path.suffix, describe_other)(path)
        return Content(path=str(path), what=excerpt(what), bytes=path.stat().st_size, checksum=seal, error="")
    except MinikdError as error:
        return Content(path=str(path), what="", bytes=0, checksum="", error=str(error))


def empty(folder: Path) -> Content:
    """Say that a folder has no file of minikd. Raises CheckpointError if the folder may not be read."""
    with system_errors(folder, "", CheckpointError):
        next(folder.iterdir(), None)
    what = f"a folder without a file that minikd can read: their names end in {', '.join(READERS)}"
    return Content(path=str(folder), what=what, bytes=0, checksum="no checksum", error="")


def tensors(path: Path) -> tuple[str, str]:
    """Return what a safetensors file is, and the result of its checksum."""
    found, metadata = read_tensors(path)
    seal = RIGHT if has_checksum(path) else NONE
    if "minikd" in metadata:
        model, card = load_model(path)
        image = "x".join(map(str, card.image))
        return f"the model {card.name}, {describe(model)}, images {image}, {len(card.class_names)} classes", seal
    if "minikd-checkpoint" in metadata:
        position = header_of(path, metadata)["position"]
        return f"a checkpoint at epoch {position.get('epoch')}, batch {position.get('batch')}", seal
    kinds = {"minikd-answers": "a teacher's answers", "minikd-editions": "training images in editions"}
    what = next((text for key, text in kinds.items() if key in metadata), "arrays of another program")
    return f"{what}: {', '.join(sorted(found)[:5])}{', ...' if len(found) > 5 else ''}", seal


def numbers(path: Path) -> tuple[str, str]:
    """Return what a JSON file is, and the result of its checksum."""
    try:
        value = json_of(path, "")
        table = checked_table(value)
        seal = RIGHT if isinstance(value, dict) and KEY in value else NONE
        if "experiment" in table:
            report = as_type(table, ExperimentReport)
            return f"results of the experiment {report['experiment']}, {len(report['rows'])} rows", seal
        if "validation_nll" in table:
            outcome = as_type(table, Outcome)
            return f"outcome of an experiment's cell, {outcome['name']}, seed {outcome['seed']}", seal
        if "trials" in table:
            return f"trials of a search for settings, {len(as_type(table, Record)['trials'])}", seal
        results = checked_results(table)
        steps = results.get("steps")
        how = "".join(f"; steps of {name}: {how}" for name, how in steps.items()) if isinstance(steps, dict) else ""
        return f"results of the run {results['name']}, seed {results['seed']}{how}", seal
    except ValueError as error:
        if isinstance(error, MinikdError):
            raise
        raise broken_file(path, error, "take a copy, or run it again") from error


def history(path: Path) -> tuple[str, str]:
    """Return how long a history is, and the result of its checksums."""
    rows = read_history(path)
    models = dict.fromkeys(str(row["model"]) for row in rows)
    head = read_text(path, LIMIT, "", CheckpointError).partition("\n")[0]
    return f"history of {', '.join(models) or 'nothing yet'}, {len(rows)} epochs", RIGHT if CHECKSUM in head else NONE


def recipe(path: Path) -> tuple[str, str]:
    """Return what a recipe trains on, and the result of its checksum."""
    found = read_recipe(path)
    seal = {True: RIGHT, False: EDITED, None: NONE}[is_sealed(recipe_text(path))]
    return f"a recipe for {found.data}, seed {found.seed}, method {found.distillation.method}", seal


def describe_other(path: Path) -> tuple[str, str]:
    """Return the description of a file that minikd never reads."""
    return f"not a file that minikd can read: their names end in {', '.join(READERS)}", "no checksum"


READERS: dict[str, Callable[[Path], tuple[str, str]]] = {
    ".safetensors": tensors,
    ".checkpoint": tensors,
    ".json": numbers,
    ".csv": history,
    ".toml": recipe,
}


def lines_of(content: Content) -> str:
    """Return a file's lines for a terminal."""
    lines = [excerpt(content["path"]), paragraph(content["error"] or content["what"], 4)]
    if not content["error"]:
        lines.append(paragraph(f"{in_words(content['bytes'])}, {content['checksum']}", 4))
    return "\n".join(lines)
