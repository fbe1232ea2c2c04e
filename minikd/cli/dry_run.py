"""`minikd distill --dry-run`: prints the complete recipe, and the memory and time that the run will take."""

import argparse

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import print_next, without_flags
from minikd.console import units
from minikd.console.layout import aligned, paragraph
from minikd.distillation.ended import as_table
from minikd.distillation.outlook import outlook
from minikd.distillation.recipe import Recipe
from minikd.distillation.results import name_of
from minikd.memory import in_words

NOTHING = (
    "Nothing was written. The time was estimated from a few steps of each stage, with the present load of the machine."
)

SEARCH = (
    "These are the settings before the search. A run first tries networks, rates and augmentation on held-out "
    "images. This takes about as long as the training, and the settings that it chooses may make the training "
    "longer. --no-search skips it."
)


def dry_run(recipe: Recipe, only: str | None, arguments: argparse.Namespace, program: str) -> int:
    """Print the recipe of a run, or of one stage, and its memory and time."""
    found = outlook(recipe, only)
    if arguments.json:
        taken = {"seconds": dict(found.seconds), "seconds_in_all": found.total, "memory_bytes": found.memory}
        print(json_text({"recipe": as_table(found.recipe), "search": list(recipe.search), **taken}))
        return 0
    rows = [(name_of(name), units.seconds(seconds)) for name, seconds in found.seconds.items()]
    print(found.recipe.to_toml())
    print(aligned((("", "time"),), [*rows, ("in all, about", units.seconds(found.total))]))
    print(f"\nmemory: about {in_words(found.memory)}")
    if recipe.search:
        print(f"\n{paragraph(SEARCH)}")
    print(f"\n{paragraph(NOTHING)}")
    print_next({f"{program} {without_flags(arguments.typed, '--dry-run')}": "run it"})
    return 0
