"""Finds a finished run, and loads the models in its folder."""

import shlex
from pathlib import Path

from minikd.console.notices import notice
from minikd.distillation.results import MODELS
from minikd.errors import ConfigError
from minikd.nn import Sequential
from minikd.weights import Card, load_model

SHOWN = 4
"""Folders that a message names."""


def newest_run(runs: Path) -> Path:
    """Return the folder of the latest finished run with a teacher and a distilled student.

    A notice says why newer runs are not used. Raises ConfigError if there is none, and lists what there is.
    """
    begun = {path.parent for pattern in ("config.toml", "results.json") for path in runs.glob(f"*/{pattern}")}
    newest_first = sorted(begun, key=finish_time, reverse=True)
    place = next(
        (number for number, folder in enumerate(newest_first) if not unusable_because(folder)), len(newest_first)
    )
    others = "; ".join(
        f"{shlex.quote(str(folder))} {unusable_because(folder)}" for folder in newest_first[:place][:SHOWN]
    )
    if place == len(newest_first):
        found = f"; {others}. Name one of them with --run, or make" if others else "; make"
        raise ConfigError(
            f"{runs} holds no finished run with a teacher and a distilled student{found} one with minikd distill"
        )
    if others:
        notice(
            f"{newest_first[place]} is used, the newest run with a teacher and a distilled student; newer folders: "
            f"{others}"
        )
    return newest_first[place]


def finish_time(folder: Path) -> float:
    """Return when a run ended, or when it began if it has not ended."""
    return changed(folder / "results.json") or changed(folder / "config.toml")


def unusable_because(folder: Path) -> str:
    """Return why a run cannot show the effect of distillation, or "" if it can."""
    if not (folder / "results.json").exists():
        return "has not ended"
    there = [f"the {MODELS[name]}" for name in MODELS if (folder / f"{name}.safetensors").is_file()]
    return "" if len(there) == len(MODELS) else f"holds only {' and '.join(there)}" if there else "holds no models"


def changed(path: Path) -> float:
    """Return when a file was last written, or 0 if there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def tell_lost_models(folder: Path) -> None:
    """Print a notice if a finished run no longer has all its models: its results name files that are not there."""
    lost = [f"{name}.safetensors" for name in MODELS if not (folder / f"{name}.safetensors").is_file()]
    if lost:
        notice(
            f"{folder} no longer holds {' and '.join(lost)}; its results stay, and a new run trains the models again: "
            f"minikd distill --config {shlex.quote(str(folder / 'config.toml'))}"
        )


def load_models(folder: Path) -> dict[str, tuple[Sequential, Card]]:
    """Return the models in a run's folder by name, with their cards. A notice says which are missing.

    Raises ConfigError for a folder without models, with the folder's contents, and CheckpointError for a damaged file.
    """
    found = {name: folder / f"{name}.safetensors" for name in MODELS if (folder / f"{name}.safetensors").is_file()}
    if not found:
        raise ConfigError(f"{folder} {folder_problem(folder)}")
    if missing := [name for name in MODELS if name not in found]:
        there, gone = (" and ".join(f"the {MODELS[name]}" for name in names) for names in (found, missing))
        notice(f"{folder} holds only {there}; {gone} {'are' if missing[1:] else 'is'} not there")
    return {name: load_model(path, "float32") for name, path in found.items()}


def folder_problem(folder: Path) -> str:
    """Return what this path is instead of a run's folder, and the fix."""
    if not folder.exists():
        return "is not there; give the folder of a run, such as one in runs/"
    if not folder.is_dir():
        return "is a file; give the folder of a run, which minikd distill has written"
    inside = sorted({path.parent for pattern in ("*", "cells/*") for path in folder.glob(f"{pattern}/*.safetensors")})
    if inside:
        return f"is no run, but holds the models of some; give one of them: {listed(inside)}"
    if (folder / "config.toml").exists():
        again = f"minikd distill --resume {shlex.quote(str(folder))}"
        return f"is a run in which no model has been finished; go on with it: {again}"
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        return f"holds {', '.join(others[:SHOWN])}, but none of a run's models: {', '.join(MODELS)} (.safetensors)"
    return "holds no weights of a run; give a folder that minikd distill has written"


def listed(folders: list[Path]) -> str:
    """Return the paths of a few folders for a message."""
    more = f" and {len(folders) - SHOWN} more" if len(folders) > SHOWN else ""
    return ", ".join(shlex.quote(str(folder)) for folder in folders[:SHOWN]) + more
