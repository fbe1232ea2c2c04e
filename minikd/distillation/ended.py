"""Checks whether a run has ended, and with the same settings. The paths of data and weights do not count."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from minikd.console.notices import notice
from minikd.distillation.recipe import SECTIONS, Recipe
from minikd.errors import ConfigError
from minikd.settings import new_name, new_value

PLACES = ("data", "unlabelled", "teacher.weights", "distillation.ensemble")
"""Settings that are paths. Instead of them, the contents are compared with the record in the weights files."""

DECIDED_BY = {
    "teacher": ("teacher",),
    "student_baseline": ("student",),
    "student_distilled": ("teacher", "student", "distillation"),
}
"""The sections of a recipe that each model depends on, in addition to the settings of the whole run."""


def as_table(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as results.json holds it."""
    table: dict[str, object] = json.loads(json.dumps(asdict(recipe)))
    return table


def check_settings(results: Mapping[str, object], recipe: Recipe, folder: Path) -> None:
    """Raise ConfigError if the results are those of models with other settings than the recipe's."""
    done = [name for name in DECIDED_BY if name in results]
    if done and "config" not in results:
        notice(
            f"{folder / 'results.json'} is of an earlier version of minikd and does not give its settings; its "
            "numbers are used as they are"
        )
    deciding = {section for name in done for section in DECIDED_BY[name]}
    told = [
        f"{name} was {json.dumps(before)} and is {json.dumps(now)}"
        for name, before, now in differences(results, recipe)
        if name not in (*PLACES, "backend") and (name.split(".")[0] in deciding or name.split(".")[0] not in SECTIONS)
    ]
    if done and told:
        again = f"minikd distill --config {shlex.quote(str(folder / 'config.toml'))}"
        raise ConfigError(
            f"{folder} has results of other settings than its config.toml has now: {'; '.join(told)}; restore that, "
            f"or start a new run with the settings in it now: {again}"
        )


def lies_elsewhere(results: Mapping[str, object], recipe: Recipe) -> bool:
    """True if the recipe has other paths of data or weights than the recipe of the results."""
    return any(name in PLACES for name, _, _ in differences(results, recipe))


def differences(results: Mapping[str, object], recipe: Recipe) -> Iterator[tuple[str, object, object]]:
    """Yield the name and both values of each setting in which the recipe of the results, if any, differs from this one.

    A setting that an earlier version did not have counts as its default, which has no effect.
    """
    config = results.get("config")
    if not isinstance(config, Mapping):
        return
    defaults = [one for one in flat(as_table(Recipe())) if not one[0].startswith("distillation.method_args.")]
    before, now = dict([*defaults, *flat(config)]), dict(flat(as_table(recipe)))
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield name, before.get(name), now.get(name)


def flat(table: Mapping[str, object], place: str = "") -> Iterator[tuple[str, object]]:
    """Yield every setting of a table and of the tables in it, as ("teacher.epochs", 5)."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{place}{name}.")
        else:
            new = new_name(f"{place}{name}")
            yield new, new_value(new, value)
