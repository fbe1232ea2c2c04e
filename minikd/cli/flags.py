"""The recipe's flags, made from its fields: a name, a type, a help line and a default for each."""

import argparse
from collections.abc import Callable
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import TypeVar

from minikd.data.sources import NAMES
from minikd.distillation.recipe import SECTIONS, Recipe, Section, read_recipe, seed_recipe
from minikd.errors import ConfigError

SectionT = TypeVar("SectionT", bound=Section)

PREFIX = {"teacher": "teacher-", "student": "student-", "distillation": ""}
"""What stands before a section's settings in their flags: --teacher-epochs, --temperature."""

METAVARS: dict[type, str] = {int: "N", float: "X", str: "TEXT", tuple: "N,N"}

TITLES = {
    "teacher": "the teacher, a CNN trained on the labels",
    "student": "both students, the control and the distilled one",
    "distillation": "the distillation loss, alpha·T²·KL(teacher ‖ student) + (1 - alpha)·cross-entropy",
}


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """Add --config, --seed-recipe and a flag for each setting of a recipe."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="start from this recipe (default: the built-in)"
    )
    start.add_argument("--seed-recipe", action="store_true", help="start from the seed notebook's own experiment")
    common = parser.add_argument_group("the run")
    for one in fields(Recipe):
        if one.name not in SECTIONS:
            add_flag(common, one, "", "")
    for name, kind in SECTIONS.items():
        group = parser.add_argument_group(TITLES[name])
        for one in fields(kind):
            add_flag(group, one, PREFIX[name], f"{name}.")


def add_flag(group: argparse._ArgumentGroup, one: Field[object], prefix: str, place: str) -> None:
    """Add a setting's flag; its value lands under the setting's place in the recipe, such as "teacher.epochs"."""
    default = ",".join(map(str, one.default)) if isinstance(one.default, tuple) else one.default
    shown = default if default != "" else "none"
    choices = f", one of {', '.join(one.metadata['choices'])}" if one.metadata["choices"] else ""
    group.add_argument(
        f"--{prefix}{one.name.replace('_', '-')}",
        dest=f"{place}{one.name}",
        type=parser_of(one.default),
        default=argparse.SUPPRESS,
        metavar=METAVARS[type(one.default)],
        help=f"{one.metadata['help']}{choices} (default: {shown})".replace("%", "%%"),
    )


def parser_of(default: object) -> Callable[[str], object]:
    """Return what turns a flag's text into a value of the default's type."""
    if isinstance(default, tuple):
        return whole_numbers
    return type(default) if isinstance(default, int | float) else str


def whole_numbers(text: str) -> tuple[int, ...]:
    """Return (800, 800) for "800,800"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers, such as 128 or 800,800") from error


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the flags ask for. Raises ConfigError."""
    recipe = Recipe()
    if arguments.config:
        recipe = read_recipe(arguments.config)
    elif arguments.seed_recipe:
        recipe = seed_recipe()
    given = given_settings(arguments)
    for place in {"data", "teacher.weights"} & given.keys():
        given[place] = from_anywhere(str(given[place]))
    teacher = replaced(recipe.teacher, section_of(given, "teacher"), PREFIX["teacher"])
    student = replaced(recipe.student, section_of(given, "student"), PREFIX["student"])
    distillation = replaced(recipe.distillation, section_of(given, "distillation"), PREFIX["distillation"])
    common = {key: value for key, value in given.items() if "." not in key}
    sections = {"teacher": teacher, "student": student, "distillation": distillation}
    return replaced(recipe, {**common, **sections}, "")


def from_anywhere(text: str) -> str:
    """Return an absolute path for one that exists, so that config.toml repeats the run in any folder; else the text."""
    path = Path(text).expanduser()
    return str(path.absolute()) if text not in ("", *NAMES) and path.exists() else text


def section_of(given: dict[str, object], name: str) -> dict[str, object]:
    """Return the settings of one section by their own names."""
    return {key.split(".")[1]: value for key, value in given.items() if key.startswith(f"{name}.")}


def replaced(section: SectionT, values: dict[str, object], prefix: str) -> SectionT:
    """Return the section with these values; an error begins with the flag of the setting that it names first."""
    try:
        return replace(section, **values)
    except ConfigError as error:
        name, rest = str(error).split(" ", 1)
        raise ConfigError(f"--{prefix}{name.replace('_', '-')} {rest}") from error


def given_settings(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings that were given as flags, by their place in the recipe."""
    own = {one.name for one in fields(Recipe)}
    return {key: value for key, value in vars(arguments).items() if key in own or key.split(".")[0] in SECTIONS}
