"""`minikd predict`: shows how teacher and students classify a picture."""

import argparse
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json, add_layers, add_quiet, check_least

if TYPE_CHECKING:
    from minikd.distillation.predict import Prediction
    from minikd.distillation.seeing import PreparedPicture


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the pictures, the run with the models, and how the pictures are prepared."""
    to.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a picture: PNG, JPEG, GIF, BMP, TIFF, WebP")
    to.add_argument(
        "--run", type=Path, help="folder of the run with the models (default: the newest finished run in runs/)"
    )
    to.add_argument(
        "--invert", action="store_true", help="swap light and dark, for ink on paper (default: do not swap)"
    )
    to.add_argument(
        "--no-crop",
        dest="crop",
        action="store_false",
        help="use the whole picture (default: for models of images like MNIST's, cut out and centre the drawing)",
    )
    to.add_argument(
        "--explain", action="store_true", help="write a picture of what the models saw to seen/ (default: do not)"
    )
    to.add_argument("--top", type=int, default=3, metavar="N", help="classes of each model to show (default: 3)")
    add_layers(to)
    add_quiet(to)
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Print how the models of a run classify pictures, side by side."""
    from minikd.distillation.finished import load_models, newest_run
    from minikd.distillation.folder import quoted
    from minikd.distillation.predict import predictions, unreadable_error

    check_least("--top", arguments.top, 1)
    folder = arguments.run or newest_run(Path("runs"))
    models, draw = load_models(folder), drawing_of(arguments.images) if arguments.explain else None
    answers, failures = predictions(models, arguments.images, arguments.invert, arguments.crop, draw)
    if arguments.json:
        print(json_text([{"run": str(folder), **answer} for answer in answers]))
    else:
        print(f"run: {folder}")
        if not arguments.run:
            print("the newest run with all models; --run DIR uses another")
        print_predictions(answers, arguments.top)
    if failures:
        raise unreadable_error(failures, len(arguments.images))
    if not arguments.json:
        print_next({f"{as_typed()} export {quoted(folder)} --to html": "a page to draw on, which answers"})
    return 0


def drawing_of(images: Sequence[Path]) -> "Callable[[Path, PreparedPicture, Mapping[str, Mapping[str, float]]], Path]":
    """Return a function that draws a picture, what the models saw and their answers, into a file in seen/."""
    from minikd.distillation.predict import drawings
    from minikd.report.explanation import write_explanation

    files = drawings(Path("seen"), images)

    def draw(image: Path, seen: "PreparedPicture", found: Mapping[str, Mapping[str, float]]) -> Path:
        write_explanation(files[image], image.name, seen, found)
        return files[image]

    return draw


def print_predictions(answers: "Sequence[Prediction]", top: int) -> None:
    """Print a table for each picture, and the file that shows what the models saw."""
    from minikd.report.predictions import predictions_table

    width = shutil.get_terminal_size().columns
    for answer in answers:
        print(f"\n{predictions_table(answer, top, width)}")
        if "explained" in answer:
            print(f"what the models saw: {answer['explained']}")
    if answers and "explained" not in answers[0]:
        print("\nadd --explain for a picture of what the models saw")
