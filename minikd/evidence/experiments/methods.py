"""Every method that the default pair can use, at equal budget, with default and with tuned settings.

All methods and the baseline are tuned in the same way. Two settings are tried in addition to the default, each in a
training of the same length. The best on the held-out images of the tuning seeds is chosen (fewest errors, then
likelihood). If the default is best, there is no second row. A default row is compared with plain soft targets and the
baseline at their defaults, a tuned row with both as tuned. Schedules and schemes (who teaches whom) are at the end,
untuned.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.data import load_dataset
from minikd.distillation.networks import first_student, first_teacher
from minikd.distillation.recipe import Distillation, Recipe
from minikd.evidence.experiments.cell import Cell, Outcomes
from minikd.evidence.experiments.experiment import Experiment, Setup, Size, teachers, with_method
from minikd.evidence.experiments.figures import dots
from minikd.evidence.experiments.rows import ExperimentReport
from minikd.evidence.experiments.tuning import TunedSettings, best, row_name, tries, with_settings
from minikd.methods import Pair, build, check, kind_of, usable
from minikd.outside import absolute, is_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASELINE, PLAIN = "baseline", "soft_targets"

MIXED: Sequence[TunedSettings] = ({"temperature": 2.0}, {"alpha": 0.5})

GRID: Mapping[str, Sequence[TunedSettings]] = {
    BASELINE: ({"learning_rate": 3e-3}, {"learning_rate": 2e-3}),
    **dict.fromkeys(("soft_targets", "reverse_kl", "jensen_shannon", "soft_cross_entropy", "noisy_teacher"), MIXED),
    "logit_matching": ({"alpha": 0.5}, {"alpha": 0.99}),
    "dkd": ({"beta": 2.0}, {"temperature": 2.0}),
    "dist": ({"temperature": 4.0}, {"beta": 1.0, "gamma": 1.0}),
    "standardized_kl": ({"temperature": 4.0}, {"weight": 3.0}),
    "curriculum_temperature": ({"strength": 0.3}, {"alpha": 0.5}),
    "hint": ({"weight": 1e-3}, {"temperature": 2.0}),
    "similarity_preserving": ({"weight": 300.0}, {"temperature": 2.0}),
    "rkd": ({"weight": 0.1}, {"temperature": 2.0}),
    "pkt": ({"weight": 20.0}, {"temperature": 2.0}),
    "contrastive": ({"weight": 0.08}, {"temperature": 2.0}),
    "cosine": ({"weight": 0.1}, {"temperature": 2.0}),
    "deep_mutual_learning": ({"peers": 2}, {"peers": 3}),
    "label_smoothing": ({"smoothing": 0.05}, {"smoothing": 0.2}),
    "virtual_teacher": ({"alpha": 0.5}, {"correct": 0.99}),
}
"""The settings that are tried besides the defaults, two for each method. Other methods keep their defaults."""

SCHEMES: Mapping[str, Distillation] = {
    "T=8 to 1": Distillation(method_args={"temperature": 8.0, "final_temperature": 1.0}),
    "alpha=0.9 to 0": Distillation(method_args={"final_alpha": 0.0}),
    "dkd warm_up=0.1": Distillation(method="dkd", method_args={"warm_up": 0.1}),
    "hint stage=0.25": Distillation(method="hint", method_args={"stage": 0.25}),
    "assistant 400": Distillation(assistant=(400,)),
    "generations 2": Distillation(generations=2),
}
"""Schedules; a hint first and then soft targets; a teacher assistant, 784-400-10, between teacher and student; a
student that learns from the first student."""


Bases = Callable[[Recipe], list[str]]
"""The rows with default settings: the baseline, and the names of methods, or FILE.py:NAME."""


def base_rows(recipe: Recipe) -> list[str]:
    """Return the baseline and the methods that the recipe's pair can use."""
    return [BASELINE, *usable(pair_of(recipe))]


def pair_of(recipe: Recipe) -> Pair:
    """Return the recipe's pair of networks."""
    dataset = load_dataset(recipe.data)
    return Pair(first_student(recipe, dataset), [first_teacher(recipe, dataset)], dataset.image_shape)


def grid_of(base: str) -> Sequence[TunedSettings]:
    """Return the settings to try besides a row's defaults, from GRID or from the method's `tries`."""
    return GRID[base] if base in GRID else kind_of(base).tries


def title(base: str) -> str:
    """Return the beginning of a row's name: the method's name, or file.py:Name."""
    return Path(base).name if is_spec(base) else base


def row(setup: Setup, base: str, settings: TunedSettings, plain: str, baseline: str) -> list[Cell]:
    """Return the cells of a row, one for each seed, to compare with plain soft targets and the baseline."""
    name, role = row_name(title(base), settings), "baseline" if base == BASELINE else "student"
    method = PLAIN if base == BASELINE else base
    against = ("" if base == PLAIN else plain, "" if base == BASELINE else baseline)
    recipes = [with_settings(with_method(recipe, method, {}), settings) for recipe in setup.recipes()]
    return [Cell(name, recipe, role, "teacher", against) for recipe in recipes]


def defaults(setup: Setup, _: Outcomes, bases: Bases = base_rows) -> list[Cell]:
    """The baseline and every method at their defaults, and the other settings to try, for the tuning seeds."""
    found = []
    for base in bases(setup.recipe):
        cells = row(setup, base, {}, PLAIN, BASELINE)
        found += [*cells, *tries(cells[: setup.size.tuning], grid_of(base))]
    return found


def schemes(setup: Setup, _: Outcomes) -> list[Cell]:
    """The rows of SCHEMES, and the teachers of all seeds as an ensemble."""
    found = []
    for recipe in setup.recipes():
        rows = {name: replace(recipe, distillation=how) for name, how in SCHEMES.items()}
        found += [Cell(name, how, "student", "teacher", (PLAIN, BASELINE)) for name, how in rows.items()]
        if setup.seeds > 1:
            plain, all_seeds = with_method(recipe, PLAIN, {}), tuple(cell.key for cell in teachers(setup, {}))
            found.append(Cell("ensemble", plain, "student", "teacher", (PLAIN, BASELINE), ensemble=all_seeds))
    return found


def tuned(setup: Setup, outcomes: Outcomes, bases: Bases = base_rows) -> list[Cell]:
    """The baseline and every method with the best settings on the held-out images, unless these are the defaults."""
    chosen = {base: best(setup, outcomes, title(base), grid_of(base)) for base in bases(setup.recipe)}
    plain, baseline = (row_name(base, chosen[base]) for base in (PLAIN, BASELINE))
    return [
        cell for base, settings in chosen.items() if settings for cell in row(setup, base, settings, plain, baseline)
    ]


def with_methods(methods: Sequence[str]) -> Experiment:
    """Return the experiment with only these methods (names or FILE.py:NAME), soft targets and the baseline.

    Raises ConfigError for a method that cannot be created, or cannot be used on the default pair.
    """
    chosen = [absolute(method) if is_spec(method) else method for method in methods]
    bases = [*dict.fromkeys((BASELINE, PLAIN, *chosen))]
    for method in chosen:
        check(build(method, {}), pair_of(METHODS.recipe))

    def rows(_: Recipe) -> list[str]:
        return bases

    return replace(
        METHODS,
        place="-".join(["methods", *(title(method).replace(".py:", "-").removesuffix(".py") for method in methods)]),
        stages=(teachers, partial(defaults, bases=rows), partial(tuned, bases=rows)),
    )


def figure(report: ExperimentReport) -> "Figure":
    """Draw every row, best first, with the baseline's line."""
    return dots(report, "Every method at equal budget, default and tuned", BASELINE)


METHODS = Experiment(
    name="methods",
    summary="every usable method, schedule and scheme on the default pair at equal budget, methods also tuned",
    compares="each with plain soft targets and with the student trained on labels alone, tuned alike",
    sizes={
        "tiny": Size(teacher=1, student=1, minutes=1, tuning=1),
        "short": Size(teacher=2, student=5, minutes=35, tuning=1),
        "full": Size(teacher=5, student=20, minutes=90, tuning=1),
    },
    recipe=Recipe(),
    stages=(teachers, defaults, tuned, schemes),
    against=("soft", "baseline"),
    draw=figure,
)
