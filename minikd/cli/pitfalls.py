"""`minikd pitfalls`: examines known bugs of distillation: what they do, what they cost and which check finds them."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from minikd.cli.bench import print_or_write
from minikd.cli.shared_flags import add_json, add_output, check_least, check_path, check_unused
from minikd.console import terminal
from minikd.errors import ConfigError
from minikd.evidence.pitfalls import PITFALLS, Pitfall

NEXT = {
    "pitfalls NAME": "why people write it, what each check says, where it was seen",
    "pitfalls --train": "what each bug costs, in minutes",
    "check-loss FILE.py:NAME": "the same checks on your own loss",
}
"""The next steps after the table."""


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add flags for which pitfalls to examine, and how."""
    to.add_argument("names", nargs="*", metavar="NAME", help="bugs to describe in full (default: a table of all)")
    to.add_argument(
        "--train",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="train students with and without each bug (default: no)",
    )
    to.add_argument("--seeds", type=int, metavar="N", help="with --train: pairs of students (default: 5; quick: 1)")
    to.add_argument("--quick", action="store_true", help="train in a trial in seconds (default: minutes)")
    add_json(to)
    add_output(to)


def run(arguments: argparse.Namespace) -> int:
    """Examine the pitfalls, with --train also in trainings. Return 1 if a named check fails to find its bug."""
    from minikd.evidence.pitfalls import report
    from minikd.evidence.pitfalls.examine import examine
    from minikd.evidence.pitfalls.training import QUICK, Cost, PairedTraining, costs

    chosen, seeds = chosen_of(arguments.names), seeds_of(arguments)
    check_path("--output", arguments.output)
    found, recipe = [examine(one) for one in chosen], QUICK if arguments.quick else PairedTraining()
    paid: dict[str, Cost] = {}
    alone: tuple[int, ...] = ()
    if arguments.train:
        from minikd.data import load_dataset

        paid, alone = costs(chosen, load_dataset("mnist"), seeds, terminal.say, recipe)

    def text() -> str:
        how = (report.wrapped_text(report.recipe_text(recipe, seeds, alone)),) if alone else ()
        if arguments.names:
            return "\n\n\n".join([*(report.paragraphs(one, paid.get(one.pitfall.name)) for one in found), *how])
        return "\n\n".join([report.table(found, paid), report.wrapped_text(report.LEGEND), *how])

    trained = {"recipe": asdict(recipe), "alone": list(alone)} if alone else {}
    print_or_write({"pitfalls": report.numbers(found, paid), **trained}, arguments, text, NEXT)
    return 0 if all(one.caught for one in found) else 1


def seeds_of(arguments: argparse.Namespace) -> int:
    """Return how many pairs are trained for each pitfall. Raises ConfigError."""
    if not arguments.train:
        check_unused({"--quick": arguments.quick}, "because nothing is trained without --train")
    if arguments.seeds is None:
        return 1 if arguments.quick else 5
    if not arguments.train:
        raise ConfigError(f"--seeds is {arguments.seeds}, but nothing is trained; add --train, or drop --seeds")
    check_least("--seeds", arguments.seeds, 1, 1000)
    return int(arguments.seeds)


def chosen_of(names: Sequence[str]) -> list[Pitfall]:
    """Return the pitfalls with these names, or all without names. Raises ConfigError for an unknown name."""
    for name in names:
        if name not in PITFALLS:
            raise ConfigError(f"there is no pitfall {name!r}; the names are {', '.join(PITFALLS)}")
    return [PITFALLS[name] for name in dict.fromkeys(names)] or list(PITFALLS.values())
