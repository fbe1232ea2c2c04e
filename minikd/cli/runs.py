"""`minikd runs`: lists the runs in a folder, newest first, with their results."""

import argparse
from pathlib import Path
from typing import TypedDict

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json
from minikd.console.layout import aligned
from minikd.distillation.folder import CONFIG, in_use, quoted
from minikd.distillation.recipe import read_recipe
from minikd.distillation.results import MODELS, read_results
from minikd.errors import ConfigError, MinikdError


class RunSummary(TypedDict):
    """A run: its folder, state, data and seed, the errors of each finished model, and the number of test images."""

    path: str
    state: str
    data: str
    seed: int | None
    images: int | None
    errors: dict[str, int]


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the folder of the runs."""
    to.usage = "minikd runs [DIR] [options]"
    to.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), metavar="DIR", help="folder for all runs (default: runs)"
    )
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Print the runs in a folder with their results."""
    found = listed(arguments.folder)
    if arguments.json:
        print(json_text(found))
        return 0
    program = as_typed()
    if not found:
        print(f"there are no runs in {arguments.folder}")
        print_next({f"{program} distill": "make one: MNIST, minutes", f"{program} distill --quick": "one in seconds"})
        return 0
    print(table(found))
    print_next(steps(program, found))
    return 0


def listed(folder: Path) -> list[RunSummary]:
    """Return the runs in a folder, the newest first. Raises ConfigError if there is no such folder."""
    if not folder.is_dir():
        if folder == Path("runs"):
            return []
        raise ConfigError(f"{folder} is not a folder; give the folder of runs, as for minikd distill --runs")
    configs = sorted(folder.glob(f"[!.]*/{CONFIG}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [run_in(path.parent) for path in configs]


def run_in(folder: Path) -> RunSummary:
    """Return the contents of a run's folder. If it cannot be read, its state says so."""
    state = "running" if in_use(folder) else "stopped"
    found = RunSummary(path=str(folder), state=state, data="", seed=None, images=None, errors={})
    try:
        recipe, results = read_recipe(folder / CONFIG), read_results(folder)
    except MinikdError:
        return {**found, "state": "damaged"}
    found["data"], found["seed"] = Path(recipe.data).stem, recipe.seed
    if results:
        if state != "running":
            found["state"] = "ended" if "student_distilled" in results else "in part"
        found["images"] = results["dataset"]["test"]
        found["errors"] = {name: results[name]["errors"] for name in MODELS if name in results}
    return found


def table(found: list[RunSummary]) -> str:
    """Return a line for each run."""
    header = (("", "", "", "test", *("errors" for _ in MODELS)), ("", "data", "seed", "images", *HEADS))
    return aligned(header, [cells(one) for one in found])


HEADS = ("teacher", "baseline", "distilled")


def cells(run: RunSummary) -> tuple[str, ...]:
    """Return a run's cells. If the run has not ended, its state is after its name."""
    name = Path(run["path"]).name + ("" if run["state"] == "ended" else f" ({run['state']})")
    errors = [f"{run['errors'][model]:,}" if model in run["errors"] else "–" for model in MODELS]
    numbers = ["–" if value is None else f"{value:,}" for value in (run["seed"], run["images"])]
    return name, run["data"], *numbers, *errors


def steps(program: str, found: list[RunSummary]) -> dict[str, str]:
    """Return the next steps for these runs."""
    lines = {}
    if ended := [one for one in found if one["state"] == "ended"]:
        folder = Path(ended[0]["path"])
        lines[f"open {quoted(folder / 'report.html')}"] = "the newest report"
        lines[f"{program} predict PICTURE --run {quoted(folder)}"] = "how its models classify it"
    if begun := [one for one in found if one["state"] in ("stopped", "in part")]:
        lines[f"{program} distill --resume {quoted(Path(begun[0]['path']))}"] = "continue it"
    return lines or {f"{program} info {quoted(Path(found[0]['path']))}": "what is damaged in it"}
