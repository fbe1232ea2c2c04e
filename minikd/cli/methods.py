"""`minikd methods`: lists the methods of distillation, and says which of them the networks of a recipe can use."""

import argparse

from minikd.cli.flags import add_recipe_flags, recipe_of
from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the method to describe, and the recipe with the networks."""
    to.usage = "minikd methods [NAME] [options]"
    to.add_argument("name", nargs="?", metavar="NAME", help="one method, with what its settings mean")
    add_json(to)
    add_recipe_flags(to)


def run(arguments: argparse.Namespace) -> int:
    """List the methods, and say which of them the networks of a recipe can use."""
    from minikd.distillation.networks import pairs, prepared
    from minikd.methods.listing import methods_for, table, text

    recipe = recipe_of(arguments)
    pair = pairs(recipe, *prepared(recipe))[-1]
    found = methods_for(pair, arguments.name)
    if arguments.json:
        print(json_text(found))
        return 0
    print(text(pair, found[0]) if arguments.name else table(pair, found))
    name, program = arguments.name or "hint", as_typed()
    how = {f"{program} distill --method {name}": "distill with it; --method-arg SETTING=VALUE for a setting"}
    if arguments.name and not found[0]["usable"]:
        return 0
    print_next(how if arguments.name else {f"{program} methods {name}": "one method with its settings", **how})
    return 0
