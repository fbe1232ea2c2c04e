"""`minikd distill`: runs or resumes the main job."""

import argparse

from minikd.cli.next_steps import after_distill, as_typed, columns_of, print_next, python_as_typed, without_flags
from minikd.cli.run_flags import add_run_flags, callbacks_of, resumable, run_of

EXAMPLES = {
    "minikd distill --quick": "a trial with few images and steps",
    "minikd distill --data my_pictures": "a folder for each class",
    "minikd distill --student-hidden 64,32": "another student",
    "minikd distill --method dkd --seed 1": "see minikd methods",
    "minikd distill --resume runs/NAME": "continue a stopped run",
}
"""What most people want from the main job."""


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the flags of a run, and examples above them."""
    to.description = f"{to.description}\n\n{columns_of('examples', EXAMPLES)}"
    add_run_flags(to, "distill")


def run(arguments: argparse.Namespace) -> int:
    """Run or resume the main job, and print its table."""
    from minikd.cli.dry_run import dry_run
    from minikd.distillation import run as job
    from minikd.distillation.history import read_history
    from minikd.report.tables import original_tables, summary_table
    from minikd.report.verdict import recommended

    recipe, place = run_of(arguments)
    if arguments.dry_run:
        return dry_run(recipe, None, arguments, as_typed())
    with resumable("distill", place):
        results = job.distill(recipe, place, callbacks_of(arguments))
    folder = place.path
    if arguments.json:
        print((folder / "results.json").read_text(encoding="utf-8"), end="")
        return 0
    if results["recipe"] in ("original", "seed"):  # "seed" in results of earlier versions
        print(original_tables(read_history(folder / "history.csv")), end="\n\n")
    print(summary_table(results))
    steps = after_distill(as_typed(), python_as_typed(), folder, recipe.data, recommended(results))
    if arguments.quick:
        again = without_flags(arguments.typed, "--quick", "--name")  # the quick run already uses the name
        steps = {f"{as_typed()} {again}": "the same with all images and steps"} | steps
    print_next(steps)
    return 0
