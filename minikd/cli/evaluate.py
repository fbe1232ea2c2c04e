"""`minikd evaluate`: measures trained weights on a test set."""

import argparse
from pathlib import Path

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import SHIP, as_typed, lesson, print_next, python_as_typed, with_layers
from minikd.cli.shared_flags import add_backend, add_json, add_layers, add_quiet


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the weights, and the data for the measurement."""
    to.add_argument("weights", nargs="+", type=Path, metavar="WEIGHTS", help="a .safetensors file of a run")
    to.add_argument("--data", help="mnist, fashion-mnist, kmnist, or a path (default: that of the run, or mnist)")
    to.add_argument(
        "--image-size", default="", metavar="HxW", help="resize a folder's images to this size (default: do not)"
    )
    add_backend(to, "library and device of the arrays")
    add_layers(to)
    add_quiet(to)
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Print errors, calibration and speed of trained weights on a test set."""
    from minikd.backends import choose
    from minikd.distillation.folder import quoted
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
    first = f"{quoted(arguments.weights[0])}{with_layers(arguments.layers)}"
    print_next(
        {
            f"{as_typed()} export {first}": "exports that run without Python, with sizes",
            **lesson(python_as_typed(), SHIP, "the lesson on how to ship a student"),
        }
    )
    return 0


def data_of(arguments: argparse.Namespace) -> tuple[str, tuple[int, int] | None]:
    """Return the chosen data and image size; by default those of the first weights' run, or MNIST."""
    from minikd.distillation.folder import CONFIG
    from minikd.distillation.recipe import read_recipe, size_of

    config = arguments.weights[0].parent / CONFIG
    if arguments.data is None and config.is_file():
        recipe = read_recipe(config)
        return recipe.data, size_of(arguments.image_size or recipe.image_size)
    return arguments.data or "mnist", size_of(arguments.image_size)
