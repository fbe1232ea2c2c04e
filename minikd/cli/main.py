"""The `minikd` command and its subcommands."""

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from minikd.backends import CHOICES
from minikd.cli.check_loss import add_flags as add_check_loss_flags
from minikd.cli.completion import PLACES
from minikd.cli.failures import REFUSED, bug, reason, refused, status_of
from minikd.cli.flags import add_recipe_flags
from minikd.cli.next_steps import columns_of
from minikd.console.interrupts import exit_status, say_stopped
from minikd.console.layout import paragraph
from minikd.console.notices import printed
from minikd.console.terminal import one_line, safe_streams
from minikd.errors import MinikdError
from minikd.machine import own_version

Command = Callable[[argparse.Namespace], int]

RAW = argparse.RawDescriptionHelpFormatter
"""Leaves descriptions as they are: their lines fit already."""

DESCRIPTION = "Knowledge distillation from scratch: every gradient by hand, on NumPy or CuPy."

BEGIN = {
    "minikd distill --quick": "see it run, in a minute at most",
    "minikd distill": "the real thing, on MNIST",
    "minikd lessons": "learn how it works",
}

EXAMPLES = {
    "minikd distill --quick": "one epoch of each model, to see it run",
    "minikd distill --data my_pictures": "a folder for each class",
    "minikd distill --student-hidden 64,32": "another student",
    "minikd distill --method dkd --seed 1": "see minikd methods",
    "minikd distill --resume runs/NAME": "go on after a stop",
}
"""What most people want of the main job."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0: all is well. 1: a check failed. 2: an error that the user can mend. 70: a bug of minikd. 130: stopped by Ctrl-C,
    and 128 and the signal's number by another signal.
    """
    with safe_streams() as out:
        try:
            status = answered(argv)
        except SystemExit as stop:  # argparse's, after --help and where it cannot read a flag
            raise SystemExit(status_of(out, int(stop.code or 0))) from None
        return status_of(out, status)


def answered(argv: Sequence[str] | None) -> int:
    """Run the command line; where it does not run to its end, say why."""
    try:
        arguments = parsed(argv)
        if "command" not in arguments:
            return 0
        with printed():
            return int(arguments.command(arguments))
    except MinikdError as error:
        return refused(str(error))
    except KeyboardInterrupt:
        say_stopped()
        return exit_status()
    except (OSError, MemoryError, RecursionError, ImportError) as error:
        return refused(reason(error))
    except Exception:
        return bug()


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says; without a command, print the help."""
    top = parser()
    arguments, unknown = top.parse_known_args(argv)
    of = arguments.parser if "command" in arguments else top
    if unknown:
        of.error(unknown_flags(of, unknown))
    if of is top:
        top.print_help()
    arguments.typed = sys.argv[1:] if argv is None else list(argv)
    return arguments


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what it cannot read, and not all flags before it."""

    def error(self, message: str) -> NoReturn:
        hint = "" if message.endswith("?") or "--help" in message else f"; see {self.prog} --help"
        self.exit(REFUSED, f"{self.prog}: error: {one_line(message)}{hint}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand."""
    top = Parser("minikd", description=DESCRIPTION, epilog=columns_of("to begin", BEGIN), formatter_class=RAW)
    top.add_argument("--version", action="version", version=f"minikd {own_version()}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")

    add_training(commands)
    add_work(commands)
    add_checks(commands)
    add_studies(commands)
    add_lessons(commands)
    add_completion(commands)
    return top


def add_training(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add what trains models, and what lists them."""
    told = "train a teacher, a baseline and a distilled student; report what it gained"
    distill = add(commands, "distill", told, examples=EXAMPLES, add_help=False)
    add_run_flags(distill, "distill")
    train = add(commands, "train", "train one model of a recipe on the labels", add_help=False)
    group = add_run_flags(train, "train")
    group.add_argument(
        "--model",
        choices=("teacher", "student"),
        default="teacher",
        help="the teacher, or the student as the baseline (default: teacher)",
    )

    runs = add(commands, "runs", "list the runs in a folder, with their results")
    runs.usage = "minikd runs [DIR] [options]"
    runs.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default: runs)"
    )
    add_json(runs)
    runs.set_defaults(command=lazy("runs", "minikd.cli.runs"))


def add_work(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add what asks trained models, and the methods to train them by."""
    methods = add(commands, "methods", "list the methods of distillation, and which the networks of a recipe can use")
    methods.usage = "minikd methods [NAME] [options]"
    methods.add_argument("name", nargs="?", metavar="NAME", help="one method, with what its settings mean")
    add_json(methods)
    methods.set_defaults(command=lazy("methods"))
    add_recipe_flags(methods)

    evaluate = add(commands, "evaluate", "errors, likelihood and calibration of trained weights on a test set")
    evaluate.add_argument("weights", nargs="+", type=Path, metavar="WEIGHTS", help="a .safetensors file of a run")
    add_data_flags(evaluate)
    add_output_flags(evaluate, "evaluate")

    predict = add(commands, "predict", "what teacher and students see in a picture")
    predict.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="a picture: PNG, JPEG, GIF, BMP, TIFF, WebP"
    )
    predict.add_argument(
        "--run", type=Path, help="folder of the run whose models answer (default: the newest whole one in runs/)"
    )
    predict.add_argument(
        "--invert", action="store_true", help="turn light and dark around, as for ink on paper (default: as they are)"
    )
    predict.add_argument(
        "--no-crop",
        dest="crop",
        action="store_false",
        help="take the whole picture (default: what is drawn, cut out and centred, where the models know MNIST's like)",
    )
    predict.add_argument(
        "--explain", action="store_true", help="write a picture of what the models saw to seen/ (default: do not)"
    )
    predict.add_argument("--top", type=int, default=3, metavar="N", help="classes of each model to show (default: 3)")
    add_output_flags(predict, "predict")

    export = add(commands, "export", "write a model as ONNX, C or a page; alone: what can be exported, with sizes")
    add_export_flags(export)


def add_checks(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add what tells whether the engine is right, and where it runs."""
    gradcheck = add(commands, "gradcheck", "check every gradient, or the layer in a file of yours")
    gradcheck.add_argument("layer", nargs="?", metavar="FILE.py:NAME", help="your layer (default: all of minikd's)")
    gradcheck.add_argument("--shape", help="its input's shape, as 2,3,7,6 (default: the first that it takes)")
    gradcheck.add_argument("--seed", type=int, default=0, help="of inputs and directions (default: 0)")
    add_json(gradcheck)
    gradcheck.set_defaults(command=lazy("gradcheck"))

    check_loss = add(commands, "check-loss", "check your own distillation loss, of NumPy or PyTorch")
    add_check_loss_flags(check_loss)
    add_json(check_loss)
    check_loss.set_defaults(command=lazy("check_loss", "minikd.cli.check_loss"))

    compare = add(commands, "compare", "hold every layer, loss, optimiser and schedule beside PyTorch's")
    compare.add_argument("--seed", type=int, default=0, help="of inputs and weights (default: 0)")
    add_json(compare)
    compare.set_defaults(command=lazy("compare"))

    gpu_check = add(commands, "gpu-check", "compare everything on a GPU with NumPy, time its training steps")
    gpu_check.add_argument("--batch-size", type=int, default=128, metavar="N", help="images a step (default: 128)")
    gpu_check.add_argument("--steps", type=int, default=50, metavar="N", help="steps to time (default: 50)")
    gpu_check.add_argument(
        "--output",
        type=Path,
        default=Path("gpu-check.json"),
        metavar="FILE",
        help="its report (default: gpu-check.json)",
    )
    add_json(gpu_check)
    gpu_check.set_defaults(command=lazy("gpu_check"))

    info = add(commands, "info", "versions, BLAS, backend and why it was taken; of files, what they are")
    info.usage = "minikd info [FILE ...] [options]"
    info.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="a run's files, or its folder: what each is, and whether it is damaged",
    )
    info.add_argument("--backend", choices=CHOICES, default="auto", help="backend to ask for (default: auto)")
    add_json(info)
    info.set_defaults(command=lazy("info"))


def add_studies(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add what measures and compares."""
    bench = add(commands, "bench", "time minikd beside PyTorch and the matrix products alone")
    add_bench_flags(bench)

    experiment = add(commands, "experiment", "train many models over several seeds and compare them; alone: list them")
    add_experiment_flags(experiment)

    pitfalls = add(commands, "pitfalls", "known bugs of distillation: what each does, costs, and what catches it")
    add_pitfalls_flags(pitfalls)


def add_lessons(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add what teaches."""
    lessons = add(commands, "lessons", "list the lessons, or write them as notebooks or pages")
    lessons.usage = "minikd lessons [NAME ...] [options]"
    lessons.add_argument("names", nargs="*", metavar="NAME", help="lessons, as 03 (default: all)")
    written = lessons.add_mutually_exclusive_group()
    written.add_argument("--notebooks", type=Path, metavar="DIR", help="run them; write notebooks here (default: list)")
    written.add_argument("--html", type=Path, metavar="DIR", help="run them; write pages here (default: list)")
    lessons.add_argument("--quick", action="store_true", help="run them in seconds each (default: minutes)")
    add_json(lessons)
    lessons.set_defaults(command=lazy("lessons", "minikd.cli.lessons"))

    check = add(commands, "check", "check your work on a lesson's exercise; alone: list the exercises")
    check.usage = "minikd check [NN] [FILE]"
    check.add_argument("exercise", nargs="?", metavar="NN", help="the lesson's number (default: list them)")
    check.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="your file (default: work/NN_name.py, made the first time)"
    )
    add_json(check)
    check.set_defaults(command=lazy("check", "minikd.cli.lessons"))


def add_completion(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add what helps to type all the others."""
    completion = add(commands, "completion", "print what makes a shell complete commands, flags and values")
    where = ", ".join(f"{shell}: {place}" for shell, place in PLACES.items())
    completion.add_argument("shell", choices=tuple(PLACES), help=f'for eval "$(minikd completion bash)" in {where}')
    completion.set_defaults(command=lazy("completion", "minikd.cli.completion"))


def add(
    commands: "argparse._SubParsersAction[Parser]",
    name: str,
    help_line: str,
    examples: Mapping[str, str] | None = None,
    add_help: bool = True,
) -> Parser:
    """Add a subcommand with its one line of help, and examples."""
    parts = [paragraph(f"{help_line[0].upper()}{help_line[1:]}.")]
    parts += [columns_of("examples", examples)] if examples else []
    made = commands.add_parser(
        name, help=help_line, description="\n\n".join(parts), formatter_class=RAW, add_help=add_help
    )
    made.set_defaults(parser=made)  # to speak of its flags, and not of the top's, where one is unknown
    return made


def unknown_flags(of: argparse.ArgumentParser, unknown: list[str]) -> str:
    """Say which arguments a subcommand does not know, and for the first which of its flags may be meant."""
    wrong = unknown[0].split("=")[0]
    flags = [word for word in of.format_help().replace(",", " ").split() if word.startswith("--")]
    near = [flag for flag in flags if flag.endswith(wrong[1:])] or difflib.get_close_matches(wrong, flags)
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"see {of.prog} --help"
    return f"unknown: {' '.join(unknown)}; {hint}"


def add_run_flags(to: argparse.ArgumentParser, command: str) -> argparse._ArgumentGroup:
    """Add what distill and train share: what most people need, then the run's folder and the whole recipe."""
    to.usage = f"minikd {command} [options]"
    group = to.add_argument_group("what most people need")
    group.add_argument("-h", "--help", action="help", help="show all this")
    add_recipe_flags(to, group)
    group.add_argument("--quick", action="store_true", help="one epoch each, to see that all runs (default: minutes)")
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print the recipe, the memory and the time alone (default: run)",
    )
    group.add_argument("--name", help="name of the run's folder (default: the data's name and the time)")
    group.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on with the run in this folder, by its own recipe"
    )
    group.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default: runs)"
    )
    add_output_flags(to, command, group)
    return group


def add_data_flags(to: argparse.ArgumentParser) -> None:
    """Add which data to read."""
    to.add_argument("--data", help="mnist, fashion-mnist, kmnist, or a path (default: the run's, or mnist)")
    to.add_argument("--image-size", default="", metavar="HxW", help="resize a folder's images to this (default: none)")
    to.add_argument("--backend", choices=CHOICES, default="auto", help="where arrays are put (default: auto)")


def add_output_flags(to: argparse.ArgumentParser, command: str, group: argparse._ArgumentGroup | None = None) -> None:
    """Add how to print, and the command that runs."""
    add_quiet(group or to)
    add_json(group or to)
    to.set_defaults(command=lazy(command))


def add_quiet(to: argparse._ActionsContainer) -> None:
    """Add that nothing is said on the way."""
    to.add_argument("--quiet", action="store_true", help="no progress on standard error (default: progress)")


def add_json(to: argparse._ActionsContainer) -> None:
    """Add --json, which is one thing in all commands: one JSON value on standard output, and nothing else there."""
    to.add_argument("--json", action="store_true", help="print the results as JSON (default: text)")


def add_output(to: argparse._ActionsContainer) -> None:
    """Add a file for the numbers, beside what is printed."""
    to.add_argument(
        "--output", type=Path, metavar="FILE", help="write the numbers here too, as JSON (default: nowhere)"
    )


def add_export_flags(to: argparse.ArgumentParser) -> None:
    """Add what to export, as what, and where."""
    to.usage = "minikd export RUN_OR_WEIGHTS [options]"
    to.add_argument(
        "source", type=Path, metavar="RUN_OR_WEIGHTS", help="folder of a run, or a .safetensors file with a model"
    )
    to.add_argument("--to", choices=("onnx", "c", "html"), help="what to write (default: list what can be)")
    to.add_argument(
        "--quantize", choices=("none", "int8", "int4", "ternary"),
        help="in whole numbers, with weights of this kind (default: as the student was trained, else none: float32)",
    )  # fmt: skip
    to.add_argument(
        "--int8", dest="quantize", action="store_const", const="int8", help="short for --quantize int8 (default: no)"
    )
    to.add_argument(
        "--model", choices=("teacher", "baseline", "student"), help="of a run (default: student; html: all)"
    )
    to.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (default: in export/, beside it)")
    to.add_argument("--data", help="test and calibration images, as distill's --data (default: the run's, or mnist)")
    add_json(to)
    to.set_defaults(command=lazy("export", "minikd.cli.export"))


def add_bench_flags(to: argparse.ArgumentParser) -> None:
    """Add what to measure, how thoroughly, and where to write it."""
    to.add_argument(
        "--only", nargs="+", metavar="NAME", help="works to measure, named as in benchmarks/README.md (default: all)"
    )
    to.add_argument("--repeats", type=int, metavar="N", help="bursts of every side (default: 15; scaling: 7)")
    to.add_argument("--threads", type=int, metavar="N", help="threads of every side (default: the cores, at most 2)")
    to.add_argument("--no-job", dest="job", action="store_false", help="leave out the whole job (default: it runs)")
    to.add_argument(
        "--scaling", action="store_true", help="instead: how time and memory grow, 1 thread against all (default: no)"
    )
    to.add_argument("--quick", action="store_true", help="seconds, to see that all runs (default: minutes)")
    add_json(to)
    add_output(to)
    to.add_argument("--figure", type=Path, metavar="FILE.png", help="draw the ratios here (default: nowhere)")
    to.set_defaults(command=lazy("bench", "minikd.cli.bench"))


def add_experiment_flags(to: argparse.ArgumentParser) -> None:
    """Add which experiment to run, how thoroughly, and where to keep it."""
    to.usage = "minikd experiment [NAME] [options]"
    to.add_argument("name", nargs="?", metavar="NAME", help="the experiment (default: list them)")
    to.add_argument("--seeds", type=int, metavar="N", help="seeds of every row, from 0 (default: 5)")
    to.add_argument("--preset", metavar="NAME", help="tiny, to see that all runs; short; full (default: short)")
    to.add_argument("--jobs", type=int, metavar="N", help="processes, one thread each (default: the cores)")
    to.add_argument("--folder", type=Path, metavar="DIR", help="kept here (default: experiments/NAME-PRESET)")
    to.add_argument("--quick", action="store_true", help="seconds: the preset tiny, one seed (default: minutes)")
    add_json(to)
    add_output(to)
    add_quiet(to)
    to.set_defaults(command=lazy("experiment", "minikd.cli.experiment"))


def add_pitfalls_flags(to: argparse.ArgumentParser) -> None:
    """Add which pitfalls to examine, and how."""
    to.add_argument("names", nargs="*", metavar="NAME", help="pitfalls to tell all about (default: a table of all)")
    to.add_argument(
        "--train",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="train students with and without each bug (default: no)",
    )
    to.add_argument("--seeds", type=int, metavar="N", help="with --train: pairs of students (default: 5)")
    add_json(to)
    add_output(to)
    to.set_defaults(command=lazy("pitfalls", "minikd.cli.pitfalls"))


def lazy(name: str, module: str = "minikd.cli.commands") -> Command:
    """Return a command that is imported when it runs, so that `minikd --help` answers at once."""

    def command(arguments: argparse.Namespace) -> int:
        run: Command = getattr(import_module(module), name)
        return run(arguments)

    return command
