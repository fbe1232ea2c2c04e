"""What `distill` and `train` share: the flags of a run, its recipe and its folder."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.cli.flags import add_recipe_flags, flag_of, given_settings, recipe_of
from minikd.cli.next_steps import as_typed
from minikd.cli.shared_flags import add_json, add_layers, add_quiet
from minikd.console.interrupts import advising
from minikd.console.terminal import say
from minikd.distillation.folder import CONFIG, RunFolder, check_begun, quoted
from minikd.distillation.naming import check_name, default_name
from minikd.distillation.recipe import Recipe, read_run_recipe
from minikd.errors import ConfigError, MinikdError

if TYPE_CHECKING:
    from minikd.training import Callback


def add_run_flags(to: argparse.ArgumentParser, command: str) -> argparse._ArgumentGroup:
    """Add the flags of distill and train: first those that most people need, then the run's folder and the recipe."""
    to.usage = f"minikd {command} [options]"
    group = to.add_argument_group("what most people need")
    group.add_argument("-h", "--help", action="help", help="show all this")
    add_recipe_flags(to, group)
    group.add_argument(
        "--quick", action="store_true", help="a trial in seconds, with few images and few epochs (default: minutes)"
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print the recipe, the memory and the time, but do not train (default: train)",
    )
    group.add_argument("--name", help="name of the run's folder (default: the data's name and the time)")
    group.add_argument(
        "--resume", type=Path, metavar="DIR", help="continue the run in this folder, with its own recipe"
    )
    group.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder for all runs (default: runs)"
    )
    group.add_argument(
        "--no-graph",
        action="store_true",
        help="on a GPU, launch each kernel of a step separately (default: use CUDA graphs where possible)",
    )
    add_layers(group)
    add_quiet(group)
    add_json(group)
    return group


def run_of(arguments: argparse.Namespace) -> tuple[Recipe, RunFolder]:
    """Return the recipe and the folder of a run, resumed or new."""
    if arguments.resume:
        check_alone(arguments)
        check_begun(arguments.resume)
        recipe = read_run_recipe(arguments.resume)
        recipe.distillation.tell_changed()
        return recipe, RunFolder(arguments.resume)
    recipe = recipe_of(arguments)
    if arguments.name is None:
        return recipe, RunFolder(arguments.runs / default_name(recipe.data), numbered=True)
    place = RunFolder(arguments.runs / check_name(arguments.name), new=True)
    place.check_free()  # a taken name fails before the data are read
    return recipe, place


def check_alone(arguments: argparse.Namespace) -> None:
    """Refuse settings together with --resume, because the run has its own recipe."""
    given = list(given_settings(arguments))
    given += [name for name in ("config", "original_recipe", "no_search", "name", "quick") if getattr(arguments, name)]
    if given:
        raise ConfigError(
            f"--resume continues with the recipe in {arguments.resume / CONFIG}, so "
            f"{', '.join(map(flag_of, given))} cannot be given; leave them out, or start a new run without --resume"
        )


@contextmanager
def resumable(command: str, place: RunFolder) -> Iterator[None]:
    """If the work inside is stopped, or fails after a part is finished, print how to resume."""
    begun_before = not place.new

    def how() -> str:
        line = f"{as_typed()} {command} --resume {quoted(place.path)}"
        return f"stopped; continue with:\n  {line}" if begun_before or place.can_resume else ""

    with advising(how):
        try:
            yield
        except MinikdError:
            if place.made and place.can_resume:
                say(f"finished parts are kept; {how().partition(' ')[2]}")
            raise


def callbacks_of(arguments: argparse.Namespace) -> "list[Callback]":
    """Return the progress bars, unless --quiet is given, and the callback of --no-graph."""
    from minikd.distillation.progress import Bars
    from minikd.training.callbacks import NoGraph

    return [*([] if arguments.quiet else [Bars()]), *([NoGraph()] if arguments.no_graph else [])]
