"""`minikd train`: trains one model of a recipe, or resumes its training."""

import argparse

from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.run_flags import add_run_flags, callbacks_of, resumable, run_of
from minikd.settings import with_new_name

MODELS = ("teacher", "baseline")


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of a run, and the model to train."""
    add_run_flags(to, "train").add_argument(
        "--model",
        type=lambda text: with_new_name("--model", text, MODELS),
        choices=MODELS,
        default="teacher",
        help="the teacher, or the baseline: the student on labels alone (default: teacher)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train one model, or resume its training, and print its results."""
    from minikd.cli.dry_run import dry_run
    from minikd.distillation import run as job
    from minikd.distillation.folder import quoted
    from minikd.distillation.results import name_of
    from minikd.report.tables import glossary, models_table

    (recipe, place), role = run_of(arguments), arguments.model
    name = "teacher" if role == "teacher" else "student_baseline"
    if arguments.dry_run:
        return dry_run(recipe, name, arguments, as_typed())
    with resumable(f"train --model {role}", place):
        row = job.train(recipe, place, role, callbacks_of(arguments))
    if arguments.json:
        print((place.path / "results.json").read_text(encoding="utf-8"), end="")
        return 0
    models = {name_of(name): row}
    print(f"{models_table(models)}\n\n{glossary(models)}")
    print_next({f"{as_typed()} distill --resume {quoted(place.path)}": "train the other models, and compare"})
    return 0
