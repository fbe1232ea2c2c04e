"""The flags of a recipe, made from its fields: each has a name, a type, a line of help and a default."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import TypeVar

from minikd.console.notices import notice
from minikd.data.sources import NAMES
from minikd.distillation.recipe import SEARCHED, SECTIONS, SHORT, Distillation, Recipe, original_recipe, read_recipe
from minikd.errors import ConfigError
from minikd.methods import METHODS, kind_of
from minikd.outside import absolute, is_spec
from minikd.settings import RENAMED, Section, default_text, new_name, with_new_names, with_values, without_effect

SectionT = TypeVar("SectionT", bound=Section)

PREFIX = {"teacher": "teacher-", "student": "student-", "distillation": ""}
"""The beginning of the flags of each section: --teacher-epochs, --temperature."""

METAVARS: dict[type, str] = {int: "N", float: "X", str: "TEXT"}

TITLES = {
    "teacher": "the teacher, a CNN trained on the labels",
    "student": "both students, the baseline and the distilled student",
    "distillation": "what the distilled student learns from",
}

FIRST = ("data", "image_size", "seed")
"""The settings of the whole run that most people need."""

QUICK = {
    "train_images": 5000,
    **{"teacher.epochs": 1, "teacher.warm_up": 0.2, "student.epochs": 5, "student.warm_up": 0.0},
}
"""The settings of --quick. Flags overwrite them."""


def add_recipe_flags(parser: argparse.ArgumentParser, most_needed: argparse._ArgumentGroup | None = None) -> None:
    """Add --config, --original-recipe and a flag for each setting. Some are in the group of the most needed."""
    common = parser.add_argument_group("the run")
    for one in fields(Recipe):
        if one.name not in (*SECTIONS, "search"):
            add_flag(most_needed if most_needed and one.name in FIRST else common, one, "", "")
    start = common.add_mutually_exclusive_group()
    start.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="start from this recipe (default: the built-in one)"
    )
    start.add_argument(
        "--original-recipe", action="store_true", help="repeat the PyTorch notebook that minikd grew from (default: no)"
    )
    start.add_argument("--seed-recipe", dest="original_recipe", action=OldFlag, help=argparse.SUPPRESS)
    common.add_argument("--quantise", type=spelled_otherwise, help=argparse.SUPPRESS)
    common.add_argument(
        "--no-search",
        action="store_true",
        help="use MNIST's settings for any data (default: choose those for other data on held-out images)",
    )
    for name, kind in SECTIONS.items():
        group = parser.add_argument_group(TITLES[name])
        for one in fields(kind):
            if one.name not in ("method_args", "method_digest"):
                add_flag(group, one, PREFIX[name], f"{name}.")
    add_method_flags(group)


class OldFlag(argparse.Action):
    """A switch with an old name. It sets the switch with the new name, and prints a note."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, help=help)

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        notice(f"{option} is called --{self.dest.replace('_', '-')} now")
        setattr(namespace, self.dest, True)


def spelled_otherwise(_: str) -> str:
    """Refuse the British spelling, and name the right one."""
    raise argparse.ArgumentTypeError("this flag is spelled --quantize")


def add_method_flags(group: argparse._ArgumentGroup) -> None:
    """Add the settings of a method, with a separate flag for each of the usual ones."""
    group.add_argument(
        "--method-arg",
        dest="distillation.method_arg",
        action="append",
        default=argparse.SUPPRESS,
        metavar="NAME=VALUE",
        help="a setting of the method, may be repeated; minikd methods NAME lists them (default: the method's own)",
    )
    for name in SHORT:
        group.add_argument(
            f"--{name}",
            dest=f"distillation.{name}",
            type=float,
            default=argparse.SUPPRESS,
            metavar="X",
            help=f"short for --method-arg {name}=X (default: the method's own)",
        )


def add_flag(group: argparse._ArgumentGroup, one: Field[object], prefix: str, place: str) -> None:
    """Add a setting's flag. Its value is stored under the setting's place in the recipe, such as "teacher.epochs"."""
    choices = f"; one of {', '.join(one.metadata['choices'])}" if one.metadata["choices"] else ""
    group.add_argument(
        f"--{prefix}{one.name.replace('_', '-')}",
        dest=f"{place}{one.name}",
        type=parser_of(one),
        default=argparse.SUPPRESS,
        metavar=metavar_of(one),
        help=f"{one.metadata['help']}{choices} (default: {default_text(one.default)})".replace("%", "%%"),
    )
    for old in (old for old, new in RENAMED.items() if new == one.name):
        flag, dest = f"--{prefix}{old.replace('_', '-')}", f"{place}{old}"
        group.add_argument(flag, dest=dest, type=parser_of(one), default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def choices_of(place: str) -> tuple[str, ...]:
    """Return the values that the setting at a place in the recipe may have; empty if any value is possible."""
    section, _, name = place.rpartition(".")
    kind = SECTIONS.get(section, Recipe)
    found = [one.metadata.get("choices", ()) for one in fields(kind) if one.name == name]
    return found[0] if found else ()


def metavar_of(one: Field[object]) -> str:
    """Return the placeholder for a setting's value in the help."""
    if isinstance(one.default, tuple):
        return "N,N" if one.metadata["items"] is int else "FILE,FILE"
    return METAVARS[type(one.default)]


def parser_of(one: Field[object]) -> Callable[[str], object]:
    """Return a function that turns a flag's text into a setting's value."""
    if isinstance(one.default, tuple):
        return whole_numbers if one.metadata["items"] is int else paths
    return type(one.default) if isinstance(one.default, int | float) else str


def paths(text: str) -> tuple[str, ...]:
    """Return ("/here/a", "/here/b") for "a,b"."""
    return tuple(from_anywhere(part) for part in text.split(","))


def whole_numbers(text: str) -> tuple[int, ...]:
    """Return (800, 800) for "800,800"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers, such as 128 or 800,800") from error


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the flags describe. Raises ConfigError."""
    recipe = Recipe()
    if arguments.config:
        recipe = read_recipe(arguments.config)
    elif arguments.original_recipe:
        recipe = original_recipe()
    given = given_settings(arguments)
    quick = getattr(arguments, "quick", False)
    if quick:
        given = {**QUICK, **given}
    for place in {"data", "unlabelled", "teacher.weights"} & given.keys():
        given[place] = from_anywhere(str(given[place]))
    teacher = replaced(recipe.teacher, section_of(given, "teacher"), PREFIX["teacher"])
    student = replaced(recipe.student, section_of(given, "student"), PREFIX["student"])
    distillation = with_method_flags(recipe.distillation, section_of(given, "distillation"))
    common = {key: value for key, value in given.items() if "." not in key}
    sections = {"teacher": teacher, "student": student, "distillation": distillation}
    whole = replaced(recipe, {**common, **sections}, "")
    check_effects(whole, given_settings(arguments))
    if arguments.no_search or quick:
        return replace(whole, search=())
    from_file = arguments.config or arguments.original_recipe
    return replace(whole, search=to_search(recipe.search if from_file else searched_by_default(whole), given))


def flag_of(place: str) -> str:
    """Return the flag of a setting: "--teacher-epochs" for "teacher.epochs"."""
    section, _, name = place.rpartition(".")
    return f"--{PREFIX.get(section, '')}{name.replace('_', '-')}"


def check_effects(recipe: Recipe, given: Iterable[str]) -> None:
    """Refuse flags that have no effect in this recipe, even with the default as their value. Raises ConfigError."""
    for place in map(new_name, given):
        name, _, setting = place.rpartition(".")
        section: Section = getattr(recipe, name) if name else recipe
        flag = flag_of(place)
        for one in fields(section):
            if one.name == setting and (reason := without_effect(section, one)):
                raise ConfigError(f"{flag} {reason}")
        if name == "teacher" and setting != "weights" and recipe.teacher.weights:
            raise ConfigError(
                f"{flag} has no effect, because the teacher in {recipe.teacher.weights} is not trained again; leave "
                f"{flag} out, or train a teacher without --teacher-weights"
            )


def searched_by_default(recipe: Recipe) -> tuple[str, ...]:
    """Return the settings to search for: none for all of MNIST, which the default recipe suits, else all."""
    return () if recipe.data == Recipe.data and not recipe.labelled else SEARCHED


def to_search(wanted: Iterable[str], given: Iterable[str]) -> tuple[str, ...]:
    """Return those of the settings that no flag gives."""
    moved = {f"{section}.{name}" for section in ("teacher", "student") for name in ("shift", "rotation", "scale")}
    given = {new_name(name) for name in given}
    # A user who sets one of them has decided on all of them.
    fixed = {name.split(".")[0] for name in moved if name in given}
    return tuple(name for name in wanted if name not in given and not (name in moved and name.split(".")[0] in fixed))


def with_method_flags(section: Distillation, given: dict[str, object]) -> Distillation:
    """Return the section with the given settings. Another method starts from its own defaults."""
    method = str(given.get("method", section.method))
    args = {name: given.pop(name) for name in SHORT if name in given}
    pairs = given.pop("method_arg", [])
    assert isinstance(pairs, list)
    args |= dict(setting_of(method, pair) for pair in pairs)
    args = with_new_names(args, {one.name for one in fields(METHODS[method])}) if method in METHODS else args
    kept = section.method_args if method == section.method else {}
    whole = replaced(section, {**given, "method_args": {**kept, **args}}, PREFIX["distillation"])
    return whole.written_out()


def setting_of(method: str, pair: str) -> tuple[str, object]:
    """Return ("beta", 8.0) for "beta=8": the value has the type that the method's setting has."""
    name, equals, text = pair.partition("=")
    if not equals:
        raise ConfigError(f"--method-arg is {pair!r}, but must be NAME=VALUE, such as temperature=2")
    known = method in METHODS or is_spec(method)  # an unknown method is refused when the recipe is made
    found = [one for one in fields(kind_of(method)) if one.name == name] if known else []
    if not found or isinstance(found[0].default, str):
        return name, text  # an unknown name is refused when the method is made
    try:
        return name, float(text) if found[0].default is None else parser_of(found[0])(text)
    except ValueError as error:
        raise ConfigError(
            f"--method-arg {name} is {text!r}, but must be a number, such as {found[0].default}"
        ) from error


def from_anywhere(text: str) -> str:
    """Return an existing path as an absolute path, so that config.toml repeats the run in any folder; else the text."""
    if is_spec(text):
        return absolute(text)
    try:
        path = Path(text).expanduser()
        return str(path.absolute()) if text not in ("", *NAMES) and path.exists() else text
    except (OSError, RuntimeError):  # the name is too long, or there is no home folder; reading it reports the error
        return text


def section_of(given: dict[str, object], name: str) -> dict[str, object]:
    """Return the settings of one section, without the section's name."""
    return {key.split(".")[1]: value for key, value in given.items() if key.startswith(f"{name}.")}


def replaced(section: SectionT, values: dict[str, object], prefix: str) -> SectionT:
    """Return the section with these values. An error message begins with the flag of the setting."""
    try:
        return with_values(section, with_new_names(values, {one.name for one in fields(section)}))
    except ConfigError as error:
        name, rest = str(error).split(" ", 1)
        if name not in {one.name for one in fields(section)}:
            raise
        raise ConfigError(f"--{prefix}{name.replace('_', '-')} {rest}") from error


def given_settings(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the settings that were given as flags, by their place in the recipe."""
    own = {one.name for one in fields(Recipe)}
    return {key: value for key, value in vars(arguments).items() if key in own or key.split(".")[0] in SECTIONS}
