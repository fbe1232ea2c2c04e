"""The models that a run has left in its folder, and which run that is."""

import shlex
from pathlib import Path

from minikd.errors import ConfigError
from minikd.nn import Sequential
from minikd.notices import notice
from minikd.report.evidence import MODELS
from minikd.weights import Card, load_model

SHOWN = 4
"""Folders that a message names."""


def newest_run(runs: Path) -> Path:
    """Return the folder of the run that ended last. Raises ConfigError where there is none."""
    ended = sorted(runs.glob("*/results.json"), key=changed)
    under_way = [path.parent for path in runs.glob("*/config.toml") if not (path.parent / "results.json").exists()]
    if not ended:
        more = f" ({listed(under_way)} has not ended: name it with --run)" if under_way else ""
        raise ConfigError(
            f"there is no finished run in {runs}{more}; make one with minikd distill, or name one with --run DIR"
        )
    newest = ended[-1].parent
    later = [folder for folder in under_way if changed(folder / "config.toml") > changed(newest / "config.toml")]
    if later:
        notice(f"{newest} answers, the newest run that has ended; {listed(later)} is newer and has not")
    return newest


def changed(path: Path) -> float:
    """Return when a file was last written; 0 where there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def load_models(folder: Path) -> dict[str, tuple[Sequential, Card]]:
    """Return the models in a run's folder by name, with their cards; a notice says which are missing.

    Raises ConfigError for a folder without any, with what it holds, and CheckpointError for a broken file.
    """
    found = {name: folder / f"{name}.safetensors" for name in MODELS if (folder / f"{name}.safetensors").is_file()}
    if not found:
        raise ConfigError(f"{folder} {what_it_is(folder)}")
    if missing := [name for name in MODELS if name not in found]:
        are = "are" if missing[1:] else "is"
        notice(f"{folder} holds only {' and '.join(found)}; {' and '.join(missing)} {are} not there")
    return {name: load_model(path) for name, path in found.items()}


def what_it_is(folder: Path) -> str:
    """Return what is in the place of a run's folder, and what to do about it."""
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
    """Return some folders' paths for a message."""
    more = f" and {len(folders) - SHOWN} more" if len(folders) > SHOWN else ""
    return ", ".join(shlex.quote(str(folder)) for folder in folders[:SHOWN]) + more
