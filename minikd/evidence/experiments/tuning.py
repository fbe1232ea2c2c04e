"""Chooses settings on held-out images. Every row gets the same number of tries. The test images are not used."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace

from minikd.distillation.recipe import Recipe, Student
from minikd.evidence.experiments.cell import Cell, Outcomes, key_of
from minikd.evidence.experiments.experiment import Setup
from minikd.evidence.experiments.statistics import interval

TunedSettings = Mapping[str, float]
"""Settings of the student's training, or of its method, by name."""

RATES: Sequence[TunedSettings] = ({"learning_rate": 2e-3}, {"learning_rate": 3e-3})
"""Tried for a baseline besides the student's default learning rate, which was chosen for a distilled student."""


def row_name(base: str, settings: TunedSettings) -> str:
    """Return a row's name, such as "dkd" or "dkd beta=2"."""
    return " ".join([base, *(f"{name}={value:g}" for name, value in settings.items())])


def with_settings(recipe: Recipe, settings: TunedSettings) -> Recipe:
    """Return the recipe with other settings of the student's training or of its method."""
    own = {one.name for one in fields(Student)}
    student = {name: value for name, value in settings.items() if name in own}
    method = {name: value for name, value in settings.items() if name not in own}
    taught = recipe.distillation
    return replace(
        recipe,
        student=Student.of({**asdict(recipe.student), **student}, "student"),
        distillation=replace(taught, method_args={**taught.method_args, **method}).written_out(),
    )


def tries(cells: Sequence[Cell], grid: Sequence[TunedSettings]) -> list[Cell]:
    """Return copies of a row's cells with other settings, to measure on held-out images."""
    return [
        replace(
            cell,
            name=f"try {row_name(cell.name, settings)}",
            recipe=with_settings(cell.recipe, settings),
            against=(),
            candidate=True,
        )
        for cell in cells
        for settings in grid
    ]


def with_best_settings(
    setup: Setup, outcomes: Outcomes, cells: Sequence[Cell], grid: Sequence[TunedSettings]
) -> list[Cell]:
    """Return a row's cells with the best settings. Its own settings and the grid's have been tried before."""
    settings = best(setup, outcomes, cells[0].name, grid, f"try {cells[0].name}")
    return [
        replace(cell, name=row_name(cell.name, settings), recipe=with_settings(cell.recipe, settings)) for cell in cells
    ]


def best(setup: Setup, outcomes: Outcomes, base: str, grid: Sequence[TunedSettings], own: str = "") -> TunedSettings:
    """Return the best settings of a row ({} for its own): fewest held-out errors in the tuning seeds, then likelihood.

    `own` names the row with the results of its own settings (default: the row itself). A setting that failed for a seed
    cannot be chosen.
    """

    def validation_score(settings: TunedSettings) -> tuple[float, float]:
        name = f"try {row_name(base, settings)}" if settings else own or base
        keys = [key_of(name, seed) for seed in range(min(setup.size.tuning, setup.seeds))]
        found = [outcomes[key] for key in keys if key in outcomes]
        if not found or len(found) < len(keys):
            return (float("inf"), float("inf"))
        errors = interval([one["validation"] for one in found])
        return errors.mean, interval([one["validation_nll"] for one in found]).mean

    return min(({}, *grid), key=validation_score)
