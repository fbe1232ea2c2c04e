"""What each subcommand does: call the package, print the answer."""

import argparse
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from minikd.backends import choose, which_loops
from minikd.cli.dry_run import dry_run
from minikd.cli.flags import given_settings, recipe_of
from minikd.cli.json_text import json_text
from minikd.cli.next_steps import SHIP, after_distill, lesson, print_next
from minikd.console.interrupts import advising
from minikd.console.layout import broken, paragraph
from minikd.console.progress import Bars
from minikd.console.terminal import say
from minikd.distillation import run
from minikd.distillation.folder import CONFIG, RunFolder, check_begun, quoted
from minikd.distillation.naming import check_name, default_name
from minikd.distillation.recipe import Recipe, read_recipe, read_run_recipe, size_of
from minikd.errors import CheckpointError, ConfigError, MinikdError
from minikd.report.evidence import name_of
from minikd.settings import LARGEST, brief

if TYPE_CHECKING:
    from minikd.distillation.predict import Prediction

ResultT = TypeVar("ResultT")


def distill(arguments: argparse.Namespace) -> int:
    """Run the main job, or go on with one, and print its table."""
    from minikd.distillation.history import read_history
    from minikd.report.tables import seed_tables, summary_table
    from minikd.report.verdict import recommended

    recipe, place = run_of(arguments)
    if arguments.dry_run:
        return dry_run(recipe, None, arguments, as_typed())
    results = resumable("distill", place, lambda: run.distill(recipe, place, watcher_of(arguments)))
    folder = place.path
    if arguments.json:
        print((folder / "results.json").read_text(encoding="utf-8"), end="")
        return 0
    if results["recipe"] == "seed":
        print(seed_tables(read_history(folder / "history.csv")), end="\n\n")
    print(summary_table(results))
    steps = after_distill(as_typed(), python_as_typed(), folder, recipe.data, recommended(results))
    if arguments.quick:
        again = shlex.join(word for word in arguments.typed if word != "--quick")
        steps = {f"{as_typed()} {again}": "the same with all its steps: one epoch teaches little"} | steps
    print_next(steps)
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Train one model, or go on with it, and print what it is worth."""
    from minikd.report.tables import models_table, terms

    (recipe, place), role = run_of(arguments), arguments.model
    name = "teacher" if role == "teacher" else "student_baseline"
    if arguments.dry_run:
        return dry_run(recipe, name, arguments, as_typed())
    watcher = watcher_of(arguments)
    row = resumable(f"train --model {role}", place, lambda: run.train(recipe, place, role, watcher))
    if arguments.json:
        print((place.path / "results.json").read_text(encoding="utf-8"), end="")
        return 0
    models = {name_of(name): row}
    print(f"{models_table(models)}\n\n{terms(models)}")
    print_next({f"{as_typed()} distill --resume {quoted(place.path)}": "train the other models, and compare"})
    return 0


def methods(arguments: argparse.Namespace) -> int:
    """List the methods, and say which of them the networks of a recipe can use."""
    from minikd.distillation.networks import pairs, prepared
    from minikd.methods.listing import entries, table, text

    recipe = recipe_of(arguments)
    pair = pairs(recipe, *prepared(recipe))[-1]
    found = entries(pair, arguments.name)
    if arguments.json:
        print(json_text(found))
        return 0
    print(text(pair, found[0]) if arguments.name else table(pair, found))
    name, program = arguments.name or "hint", as_typed()
    how = {f"{program} distill --method {name}": "distill by it; --method-arg SETTING=VALUE for a setting"}
    if arguments.name and not found[0]["usable"]:
        return 0
    print_next(how if arguments.name else {f"{program} methods {name}": "all about one, with its settings", **how})
    return 0


def run_of(arguments: argparse.Namespace) -> tuple[Recipe, RunFolder]:
    """Return the recipe and the folder of a run: the one to go on with, or a new one."""
    if arguments.resume:
        check_alone(arguments)
        check_begun(arguments.resume)
        return read_run_recipe(arguments.resume), RunFolder(arguments.resume)
    recipe = recipe_of(arguments)
    if arguments.name is None:
        return recipe, RunFolder(arguments.runs / default_name(recipe.data), numbered=True)
    place = RunFolder(arguments.runs / check_name(arguments.name), new=True)
    place.check_free()  # before the data are read
    return recipe, place


def check_alone(arguments: argparse.Namespace) -> None:
    """Refuse settings beside --resume: the run's own recipe decides."""
    given = list(given_settings(arguments))
    given += [name for name in ("config", "seed_recipe", "no_search", "name", "quick") if getattr(arguments, name)]
    if given:
        raise ConfigError(
            f"--resume goes on by the recipe in {arguments.resume / CONFIG}, so {', '.join(given)} cannot be "
            "given beside it; leave that out, or start a new run without --resume"
        )


def resumable(command: str, place: RunFolder, work: Callable[[], ResultT]) -> ResultT:
    """Do the work; where it is stopped, or fails with a part of it done, say how to go on."""
    begun_before = not place.new

    def how() -> str:
        line = f"{as_typed()} {command} --resume {quoted(place.path)}"
        return f"stopped; go on with:\n  {line}" if begun_before or place.stays else ""

    with advising(how):
        try:
            return work()
        except MinikdError:
            if place.made and place.stays:
                say(f"what has ended is kept; {how().partition(' ')[2]}")
            raise


def as_typed() -> str:
    """Return how this program was called: .venv/bin/minikd is not found under its bare name."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m minikd"
    found = shutil.which("minikd")
    if program.stem != "minikd" or (found and Path(found).samefile(program)):
        return "minikd"
    return shlex.quote(str(program))


def python_as_typed() -> str:
    """Return how to call the Python that runs this: the one beside the `minikd` that was typed."""
    program = as_typed()
    module = " -m minikd"
    return program.removesuffix(module) if program.endswith(module) else str(Path(program).with_name("python"))


def watcher_of(arguments: argparse.Namespace) -> Bars | None:
    """Return the progress bars, or none where it should be quiet."""
    return None if arguments.quiet else Bars()


def evaluate(arguments: argparse.Namespace) -> int:
    """Print what trained weights are worth on a test set."""
    from minikd.distillation.measure import measure_files
    from minikd.report.listings import evaluation_table
    from minikd.training.parallel import workers

    backend, (data, size) = choose(arguments.backend), data_of(arguments)
    with workers(None if backend.name == "numpy" else 1) as map_:
        rows = measure_files(arguments.weights, data, size, backend, map_)
    if arguments.json:
        print(json_text(rows))
        return 0
    print(evaluation_table(rows))
    first = arguments.weights[0]
    print_next(
        {
            f"{as_typed()} export {quoted(first)}": "what of it runs without Python, with sizes",
            **lesson(python_as_typed(), SHIP, "the lesson on how to ship a student"),
        }
    )
    return 0


def data_of(arguments: argparse.Namespace) -> tuple[str, tuple[int, int] | None]:
    """Return the data and the image size that were asked for; by default those of the first weights' run, or MNIST."""
    config = arguments.weights[0].parent / CONFIG
    if arguments.data is None and config.is_file():
        recipe = read_recipe(config)
        return recipe.data, size_of(arguments.image_size or recipe.image_size)
    return arguments.data or "mnist", size_of(arguments.image_size)


def predict(arguments: argparse.Namespace) -> int:
    """Print what the models of a run see in pictures, side by side."""
    from minikd.distillation.finished import load_models, newest_run
    from minikd.distillation.predict import predictions, unread

    check_least("--top", arguments.top, 1)
    folder = arguments.run or newest_run(Path("runs"))
    models, explain = load_models(folder), Path("seen") if arguments.explain else None
    answers, failures = predictions(models, arguments.images, arguments.invert, arguments.crop, explain)
    if arguments.json:
        print(json_text([{"run": str(folder), **answer} for answer in answers]))
    else:
        print(f"run: {folder}")
        if not arguments.run:
            print("the newest run with all models; --run DIR takes another")
        print_predictions(answers, arguments.top)
    if failures:
        raise unread(failures, len(arguments.images))
    if not arguments.json:
        print_next({f"{as_typed()} export {quoted(folder)} --to html": "a page that draws, and answers what is drawn"})
    return 0


def print_predictions(answers: "Sequence[Prediction]", top: int) -> None:
    """Print a table for each picture, and where to see what the models saw."""
    from minikd.report.predictions import predictions_table

    width = shutil.get_terminal_size().columns
    for answer in answers:
        print(f"\n{predictions_table(answer, top, width)}")
        if "explained" in answer:
            print(f"what the models saw: {answer['explained']}")
    if answers and "explained" not in answers[0]:
        print("\nadd --explain for a picture of what the models saw")


def gradcheck(arguments: argparse.Namespace) -> int:
    """Check every gradient of the engine, or the learner's layer; 1 where one is wrong."""
    from minikd.evidence import gradcheck

    check_least("--seed", arguments.seed, 0)
    alone = arguments.layer is not None
    if not alone and arguments.shape is not None:
        raise ConfigError("--shape is for a layer of yours; give that too, as FILE.py:NAME")
    if alone:
        reports: Sequence[gradcheck.Report] = [
            gradcheck.check_learner(arguments.layer, shape_of(arguments.shape), arguments.seed)
        ]
    else:
        reports = gradcheck.run_suite(np.random.default_rng(arguments.seed))
    ok = all(report.ok for report in reports)
    if arguments.json:
        print(json_text({"ok": ok, "reports": [{"ok": report.ok, **asdict(report)} for report in reports]}))
        return 0 if ok else 1
    print(broken(gradcheck.explain(reports[0])) if alone else gradcheck.table(reports))
    print_next(
        lesson(python_as_typed(), "04", "when to believe a gradient check")
        | ({} if alone else {f"{as_typed()} gradcheck FILE.py:NAME": "the same for a layer of yours"})
    )
    return 0 if ok else 1


def check_least(flag: str, value: int, least: int, most: int = LARGEST) -> None:
    """Refuse a flag's number below the least or above the most."""
    if value < least:
        raise ConfigError(f"{flag} is {brief(value)}, but must be at least {least}")
    if value > most:
        raise ConfigError(f"{flag} is {brief(value)}, but must be at most {most:,}")


def shape_of(text: str | None) -> tuple[int, ...] | None:
    """Return (2, 3, 7, 6) for "2,3,7,6"."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--shape is {text!r}, but must be whole numbers, as 2,3,7,6") from error


def compare(arguments: argparse.Namespace) -> int:
    """Print the differences from PyTorch; 1 where one is larger than its bound."""
    from minikd.evidence import reference

    check_least("--seed", arguments.seed, 0)
    rows = reference.compare_all(np.random.default_rng(arguments.seed))
    ok = all(row.ok for row in rows)
    if arguments.json:
        print(json_text({"ok": ok, "rows": [{"ok": row.ok, **asdict(row)} for row in rows]}))
        return 0 if ok else 1
    print(reference.table(rows))
    print_next({f"{as_typed()} bench --quick": "how fast it is, beside PyTorch"})
    return 0 if ok else 1


def gpu_check(arguments: argparse.Namespace) -> int:
    """Compare the device with NumPy, print what was found and write it to a file; 1 where something differs."""
    from minikd.evidence import gpu_check

    check_least("--batch-size", arguments.batch_size, 1, 10**6)
    check_least("--steps", arguments.steps, 1, 10**6)
    device = choose("cupy")
    say("comparing with NumPy; the first run compiles its kernels")
    report = gpu_check.run(device, arguments.output, arguments.batch_size, arguments.steps)
    if arguments.json:
        print(json_text(report))
    else:
        print(f"{gpu_check.text(report)}\n\nwritten to {arguments.output}; please attach it to an issue")
        print_next({f"{as_typed()} distill --backend cupy": "the main job there"})
    return 0 if report["ok"] else 1


def info(arguments: argparse.Namespace) -> int:
    """Print versions, processor, BLAS, the backend with its reason, and who runs the loops; or what files are."""
    from minikd.machine import machine, versions

    if arguments.files:
        return tell_files(arguments.files, arguments.json)
    backend, here, loops = choose(arguments.backend), machine(), which_loops()
    if arguments.json:
        found = {"backend": backend.name, "reason": backend.reason, "loops": loops}
        print(json_text({**found, "machine": here, "versions": versions()}))
        return 0
    rows = {"backend": f"{backend.name} ({backend.reason})", "loops": loops, **here, **versions()}
    for name, value in rows.items():
        print(paragraph(f"{name:<12} {value}", hanging=13))
    program = as_typed()
    print_next(
        {
            f"{program} distill --quick": "see it run here",
            f"{program} gradcheck": "is every gradient right here?",
            f"{program} info runs/NAME": "what a run's files are, and whether they are whole",
        }
    )
    return 0


def tell_files(paths: Sequence[Path], as_json: bool) -> int:
    """Print what each file is, and whether its checksum holds. Raises CheckpointError where one is damaged."""
    from minikd.storage.contents import contents_of, lines_of

    found = contents_of(paths)
    print(json_text(found) if as_json else "\n".join(map(lines_of, found)))
    if wrong := [one["path"] for one in found if one["error"]]:
        raise CheckpointError(f"{len(wrong)} of {len(found)} files cannot be used: {', '.join(wrong)}")
    if not as_json:
        print_next({f"{as_typed()} runs": "the runs here, with their results"})
    return 0
